from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import service
from studio.tone_mapping.presets.models import PresetResponse, UpdatePresetRequest

app = create_app()


@app.put(
    "/tone-mapping/presets/<preset_id>",
    operation_id="update_preset",
    summary="Replace a preset",
    description="Name, description and sliders; a LUT keeps its values. Built-in looks cannot be changed.",
    tags=["Presets"],
    responses=answers(200, 400, 403, 404, 415, 503),
)
def update_preset(preset_id: Annotated[str, Path(max_length=64)], request: UpdatePresetRequest) -> PresetResponse:
    return service.update_preset(get_caller(app), preset_id, request)


lambda_handler = create_handler(app)
