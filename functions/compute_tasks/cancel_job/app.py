from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.compute_tasks import service
from studio.compute_tasks.models import JobResponse
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.post(
    "/compute-tasks/<job_id>/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    description="Its worker stops within seconds. Cancelling a job again changes nothing; one that has completed or "
    "failed is a 409 `JOB_FINISHED`.",
    tags=["Compute tasks"],
    responses=answers(200, 403, 404, 409, 503),
)
def cancel_job(job_id: Annotated[str, Path(max_length=80)]) -> JobResponse:
    return service.cancel(get_caller(app), job_id)


lambda_handler = create_handler(app)
