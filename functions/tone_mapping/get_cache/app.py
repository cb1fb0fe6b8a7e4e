from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.cache import service
from studio.tone_mapping.cache.models import CacheResponse

app = create_app()


@app.get(
    "/tone-mapping/cache",
    operation_id="get_cache",
    summary="Show your cache",
    description="Returns totals, and the entries, the most recently used first. An entry that is used while you page "
    "moves to the first page.",
    tags=["Cache"],
    responses=answers(200, 403, 503),
)
def get_cache(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=100, pattern="^[0-9]{1,14}-[0-9a-f]{32}$")] = None,
) -> CacheResponse:
    return service.describe(get_caller(app), limit, cursor)


lambda_handler = create_handler(app)
