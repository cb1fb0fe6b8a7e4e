from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping import service
from studio.tone_mapping.models import AutoCorrectRequest, GradedImageResponse

app = create_app()


@app.post(
    "/tone-mapping/auto-correct",
    operation_id="auto_correct",
    summary="Correct an image automatically",
    description="Chooses sliders for the image, explains them and applies them.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 404, 413, 415, 503),
)
def auto_correct(request: AutoCorrectRequest) -> GradedImageResponse:
    return service.auto_correct(get_caller(app), request, app.current_event.request_context.request_id)


lambda_handler = create_handler(app)
