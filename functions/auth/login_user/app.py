from studio.auth import service
from studio.auth.models import ApiKeyResponse, LoginRequest
from studio.http import answers, create_app, create_handler

app = create_app()


@app.post(
    "/auth/login",
    operation_id="login_user",
    summary="Log in",
    description="Answers email and password with a key that lives some hours.",
    tags=["Auth"],
    responses=answers(200, 400, 401, 415, 503),
)
def login_user(request: LoginRequest) -> ApiKeyResponse:
    return service.login(request)


lambda_handler = create_handler(app)
