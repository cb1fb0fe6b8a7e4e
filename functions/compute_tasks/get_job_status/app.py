from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.compute_tasks import service
from studio.compute_tasks.models import JobResponse
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.get(
    "/compute-tasks/<job_id>/status",
    operation_id="get_job_status",
    summary="Show a job",
    description="Its status, progress, times and error.",
    tags=["Compute tasks"],
    responses=answers(200, 403, 404, 503),
)
def get_job_status(job_id: Annotated[str, Path(max_length=80)]) -> JobResponse:
    return service.describe(get_caller(app), job_id)


lambda_handler = create_handler(app)
