from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import service

app = create_app()


@app.delete(
    "/tone-mapping/presets/<preset_id>",
    status_code=204,
    operation_id="delete_preset",
    summary="Delete a preset",
    tags=["Presets"],
    responses=answers(204, 403, 404, 503),
)
def delete_preset(preset_id: Annotated[str, Path(max_length=64)]) -> None:
    service.delete_preset(get_caller(app), preset_id)


lambda_handler = create_handler(app)
