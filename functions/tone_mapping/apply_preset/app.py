from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping import service
from studio.tone_mapping.models import ApplyPresetRequest, GradedImageResponse

app = create_app()


@app.post(
    "/tone-mapping/apply-preset",
    operation_id="apply_preset",
    summary="Apply a preset to an image",
    description="Applies a built-in look or a preset of your own; automatic correction can come first, sliders last.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 404, 413, 415, 503),
)
def apply_preset(request: ApplyPresetRequest) -> GradedImageResponse:
    return service.apply_preset(get_caller(app), request, app.current_event.request_context.request_id)


lambda_handler = create_handler(app)
