from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping import service
from studio.tone_mapping.models import AdjustRequest, GradedImageResponse

app = create_app()


@app.post(
    "/tone-mapping/adjust",
    operation_id="adjust",
    summary="Adjust an image by sliders",
    description="Applies sliders of your own to the image.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 404, 413, 415, 503),
)
def adjust(request: AdjustRequest) -> GradedImageResponse:
    return service.adjust(get_caller(app), request, app.current_event.request_context.request_id)


lambda_handler = create_handler(app)
