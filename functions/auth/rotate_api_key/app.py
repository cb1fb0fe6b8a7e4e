from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.auth import service
from studio.auth.models import ApiKeyResponse, RotateApiKeyRequest
from studio.http import answers, create_app, create_handler, get_api_key, get_caller

app = create_app()


@app.post(
    "/auth/api-keys/<key_id>/rotate",
    operation_id="rotate_api_key",
    summary="Rotate an API key",
    description="Gives the key a new secret, which is shown only in this response; id, prefix, scopes and expiry stay. "
    "The previous secret stops working within 60 s (the authorizer caches its answer that long), or `grace_seconds` "
    "later. The key that you send must have every scope of the rotated key, and live as long, unless it is a login's. "
    "The body is optional.",
    tags=["Auth"],
    responses=answers(200, 400, 403, 404, 409, 415, 503),
)
def rotate_api_key(
    key_id: Annotated[str, Path(max_length=64)], request: RotateApiKeyRequest | None = None
) -> ApiKeyResponse:
    return service.rotate_api_key(get_caller(app), get_api_key(app), key_id, request or RotateApiKeyRequest())


lambda_handler = create_handler(app)
