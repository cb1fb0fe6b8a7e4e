from studio.compute_tasks.models import AcceptedResponse
from studio.compute_tasks.routes import run_or_submit
from studio.http import answers, create_app, create_handler
from studio.image_source import store_inline
from studio.tone_mapping import service
from studio.tone_mapping.models import AutoCorrectRequest, GradedImageResponse

app = create_app()


@app.post(
    "/tone-mapping/auto-correct",
    operation_id="auto_correct",
    summary="Correct an image automatically",
    description="Chooses sliders for the image, explains them and applies them.",
    tags=["Tone mapping"],
    responses=answers(
        200, 400, 403, 404, 409, 410, 413, 415, 503, models={200: GradedImageResponse, 202: AcceptedResponse}
    ),
)
def auto_correct(request: AutoCorrectRequest) -> tuple[GradedImageResponse | AcceptedResponse, int]:
    return run_or_submit(app, "auto_correct", request, service.auto_correct, GradedImageResponse, store_inline)


lambda_handler = create_handler(app, idempotent=True, scope="grade")
