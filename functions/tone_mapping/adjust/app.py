from studio.compute_tasks.models import AcceptedResponse
from studio.compute_tasks.routes import run_or_submit
from studio.http import answers, create_app, create_handler
from studio.image_source import store_inline
from studio.tone_mapping import service
from studio.tone_mapping.models import AdjustRequest, GradedImageResponse

app = create_app()


@app.post(
    "/tone-mapping/adjust",
    operation_id="adjust",
    summary="Adjust an image by sliders",
    description="Applies sliders of your own to the image.",
    tags=["Tone mapping"],
    responses=answers(
        200, 400, 403, 404, 409, 410, 413, 415, 503, models={200: GradedImageResponse, 202: AcceptedResponse}
    ),
)
def adjust(request: AdjustRequest) -> tuple[GradedImageResponse | AcceptedResponse, int]:
    return run_or_submit(app, "adjust", request, service.adjust, GradedImageResponse, store_inline)


lambda_handler = create_handler(app, idempotent=True, scope="grade")
