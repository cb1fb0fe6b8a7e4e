from studio.auth import service
from studio.auth.models import CurrentUserResponse
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.get(
    "/auth/me",
    operation_id="get_user",
    summary="Get the user",
    description="Returns the user whose key you send, and what that key may do.",
    tags=["Auth"],
    responses=answers(200, 403, 404, 503),
)
def get_user() -> CurrentUserResponse:
    return service.describe_user(get_caller(app))


lambda_handler = create_handler(app)
