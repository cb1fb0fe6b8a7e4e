from studio.compute_tasks.api import run_or_submit
from studio.compute_tasks.models import AcceptedResponse
from studio.http import answers, create_app, create_handler, get_caller, get_deadline, get_job_id
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
    caller = get_caller(app)
    return run_or_submit(
        caller,
        "auto_correct",
        request,
        run=lambda: service.auto_correct(caller, request, app.current_event.request_context.request_id),
        model=GradedImageResponse,
        prepare=lambda: store_inline(request, caller),
        deadline=get_deadline(app),
        job_id=get_job_id(app),
    )


lambda_handler = create_handler(app, idempotent=True, scope="grade")
