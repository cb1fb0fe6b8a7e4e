from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from studio.auth import service
from studio.auth.models import ListApiKeysResponse
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.get(
    "/auth/api-keys",
    operation_id="list_api_keys",
    summary="List API keys",
    description="Your keys, newest first, including those of your last 100 logins. A key that was revoked or has "
    "expired is listed for 30 days.",
    tags=["Auth"],
    responses=answers(200, 403, 503),
)
def list_api_keys(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, pattern="^key_[0-9a-f]{24}$")] = None,
) -> ListApiKeysResponse:
    return service.list_api_keys(get_caller(app), limit, cursor)


lambda_handler = create_handler(app)
