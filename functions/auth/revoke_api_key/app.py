from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.auth import service
from studio.http import answers, create_app, create_handler, get_api_key, get_caller

app = create_app()


@app.delete(
    "/auth/api-keys/<key_id>",
    status_code=204,
    operation_id="revoke_api_key",
    summary="Revoke an API key",
    description="The key stops working within 60 seconds, for which the authorizer caches its answer. The key that you "
    "send must have all of its scopes, or be the same key.",
    tags=["Auth"],
    responses=answers(204, 403, 404, 503),
)
def revoke_api_key(key_id: Annotated[str, Path(max_length=64)]) -> None:
    service.revoke_api_key(get_caller(app), get_api_key(app), key_id)


lambda_handler = create_handler(app)
