from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from studio.compute_tasks import service
from studio.compute_tasks.models import ListJobsResponse, Status
from studio.compute_tasks.registry import TASKS
from studio.http import answers, create_app, create_handler, get_caller

# Documented alone: the service is what refuses others.
TaskType = Annotated[str, Field(json_schema_extra={"enum": [*TASKS]})]

app = create_app()


@app.get(
    "/compute-tasks",
    operation_id="list_jobs",
    summary="List your jobs",
    description="Returns your jobs, the newest first: those of tasks that your key's scopes allow.",
    tags=["Compute tasks"],
    responses=answers(200, 403, 503),
)
def list_jobs(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=100, pattern="^[0-9]{1,14}-[0-9A-Za-z_-]+$")] = None,
    status: Annotated[Status | None, Query()] = None,
    task_type: Annotated[TaskType | None, Query()] = None,
) -> ListJobsResponse:
    return service.list_jobs(get_caller(app), limit, cursor, status, task_type)


lambda_handler = create_handler(app)
