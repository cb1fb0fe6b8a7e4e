from studio.auth import service
from studio.auth.models import RegisterRequest, UserResponse
from studio.http import answers, create_app, create_handler, get_address

app = create_app()


@app.post(
    "/auth/register",
    status_code=201,
    operation_id="register_user",
    summary="Register a user",
    description="The deployment decides whether registration is open, by invite or closed. After twenty attempts "
    "within an hour from one address (a deployment may set another number), the next has to wait for the next hour: a "
    "429 `REGISTRATION_LIMITED`.",
    tags=["Auth"],
    responses=answers(201, 400, 403, 409, 415, 429, 503),
)
def register_user(request: RegisterRequest) -> UserResponse:
    return service.register(request, get_address(app))


lambda_handler = create_handler(app)
