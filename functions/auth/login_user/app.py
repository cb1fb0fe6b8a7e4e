from studio.auth import service
from studio.auth.models import ApiKeyResponse, LoginRequest
from studio.http import answers, create_app, create_handler, get_address

app = create_app()


@app.post(
    "/auth/login",
    operation_id="login_user",
    summary="Log in",
    description="Returns an API key that is valid for 12 hours by default, until `expires_at`. After five failures of "
    "a user, or fifty from one address, each further attempt has to wait: ten seconds at first, then twice as long "
    "each time, up to a quarter of an hour. An attempt that comes too early is a 429 `LOGIN_LOCKED`, whether there is "
    "such a user or not. Existing keys keep working.",
    tags=["Auth"],
    responses=answers(200, 400, 401, 415, 429, 503),
)
def login_user(request: LoginRequest) -> ApiKeyResponse:
    return service.login(request, get_address(app))


lambda_handler = create_handler(app)
