from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import service
from studio.tone_mapping.presets.models import CreatePresetRequest, PresetResponse

app = create_app()


@app.post(
    "/tone-mapping/presets",
    status_code=201,
    operation_id="create_preset",
    summary="Create a preset",
    description="Saves sliders under a name.",
    tags=["Presets"],
    responses=answers(201, 400, 403, 409, 415, 503),
)
def create_preset(request: CreatePresetRequest) -> PresetResponse:
    return service.create_preset(get_caller(app), request)


lambda_handler = create_handler(app, idempotent=True, scope="grade")
