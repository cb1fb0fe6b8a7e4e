from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import service
from studio.tone_mapping.presets.models import PresetResponse

app = create_app()


@app.get(
    "/tone-mapping/presets/<preset_id>",
    operation_id="get_preset",
    summary="Show a preset",
    tags=["Presets"],
    responses=answers(200, 403, 404, 503),
)
def get_preset(preset_id: Annotated[str, Path(max_length=64)]) -> PresetResponse:
    return service.get_preset(get_caller(app), preset_id)


lambda_handler = create_handler(app)
