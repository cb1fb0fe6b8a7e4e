from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.cache import service
from studio.tone_mapping.cache.models import PurgeCacheResponse

app = create_app()


@app.delete(
    "/tone-mapping/cache",
    operation_id="purge_cache",
    summary="Purge your cache",
    description="Deletes every entry with its pixels; scope=all deletes everybody's, and needs the scope admin. Stops "
    "after about 20 s; `remaining` is how many entries are left: call again until it is 0.",
    tags=["Cache"],
    responses=answers(200, 403, 503),
)
def purge_cache(scope: Annotated[Literal["mine", "all"], Query()] = "mine") -> PurgeCacheResponse:
    return service.purge(get_caller(app), everybody=scope == "all")


lambda_handler = create_handler(app)
