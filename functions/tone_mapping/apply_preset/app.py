from studio.compute_tasks.models import AcceptedResponse
from studio.compute_tasks.routes import run_or_submit
from studio.http import answers, create_app, create_handler
from studio.image_source import store_inline
from studio.tone_mapping import service
from studio.tone_mapping.models import ApplyPresetRequest, GradedImageResponse

app = create_app()


@app.post(
    "/tone-mapping/apply-preset",
    operation_id="apply_preset",
    summary="Apply a preset to an image",
    description="Applies a built-in look or a preset of your own; automatic correction can come first, sliders last.",
    tags=["Tone mapping"],
    responses=answers(
        200, 400, 403, 404, 409, 410, 413, 415, 503, models={200: GradedImageResponse, 202: AcceptedResponse}
    ),
)
def apply_preset(request: ApplyPresetRequest) -> tuple[GradedImageResponse | AcceptedResponse, int]:
    return run_or_submit(app, "apply_preset", request, service.apply_preset, GradedImageResponse, store_inline)


lambda_handler = create_handler(app, idempotent=True, scope="grade")
