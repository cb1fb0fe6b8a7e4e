from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.minimatics import service
from studio.minimatics.api_models import DuplicateProjectRequest, ProjectResponse

app = create_app()


@app.post(
    "/minimatics/projects/<project_id>/duplicate",
    status_code=201,
    operation_id="duplicate_project",
    summary="Duplicate a project",
    description="Copies the latest version, or an earlier one, into a new project. The body is optional.",
    tags=["Minimatics"],
    responses=answers(201, 400, 403, 404, 409, 415, 503),
)
def duplicate_project(
    project_id: Annotated[str, Path(max_length=64)], request: DuplicateProjectRequest | None = None
) -> ProjectResponse:
    return service.duplicate_project(get_caller(app), project_id, request or DuplicateProjectRequest())


lambda_handler = create_handler(app, idempotent=True, scope="export")
