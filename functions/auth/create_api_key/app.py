from studio.auth import service
from studio.auth.models import ApiKeyResponse, CreateApiKeyRequest
from studio.http import answers, create_app, create_handler, get_api_key, get_caller

app = create_app()


@app.post(
    "/auth/api-keys",
    status_code=201,
    operation_id="create_api_key",
    summary="Create an API key",
    description="The key is shown only in this response. It can do at most what the key that you send can do, and ends "
    "no later, unless that is a login's.",
    tags=["Auth"],
    responses=answers(201, 400, 403, 409, 415, 503),
)
def create_api_key(request: CreateApiKeyRequest) -> ApiKeyResponse:
    return service.create_api_key(get_caller(app), get_api_key(app), request)


lambda_handler = create_handler(app)
