from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.compute_tasks import service
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.get(
    "/compute-tasks/<job_id>/result",
    operation_id="get_job_result",
    summary="Fetch a job's result",
    description="The response that the request would have had without a job, but with its image at a URL; URLs are "
    "newly presigned.",
    tags=["Compute tasks"],
    responses=answers(200, 403, 404, 409, 410, 503),
)
def get_job_result(job_id: Annotated[str, Path(max_length=80)]) -> dict[str, Any]:
    return service.get_result(get_caller(app), job_id)


lambda_handler = create_handler(app)
