from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.cache import service

app = create_app()


@app.delete(
    "/tone-mapping/cache/<cache_key>",
    status_code=204,
    operation_id="delete_cache_entry",
    summary="Delete a cache entry",
    description="Also deletes the stored image.",
    tags=["Cache"],
    responses=answers(204, 403, 404, 503),
)
def delete_cache_entry(cache_key: Annotated[str, Path(max_length=64)]) -> None:
    service.delete_entry(get_caller(app), cache_key)


lambda_handler = create_handler(app)
