from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import service
from studio.tone_mapping.presets.models import ListPresetsResponse

app = create_app()


@app.get(
    "/tone-mapping/presets",
    operation_id="list_presets",
    summary="List presets",
    description="Built-in looks, then your own, oldest first.",
    tags=["Presets"],
    responses=answers(200, 403, 503),
)
def list_presets(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, pattern="^(builtin|pre)_[a-z0-9_]+$")] = None,
) -> ListPresetsResponse:
    return service.list_presets(get_caller(app), limit, cursor)


lambda_handler = create_handler(app)
