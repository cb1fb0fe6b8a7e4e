from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.minimatics import service
from studio.minimatics.api_models import ProjectResponse

app = create_app()


@app.get(
    "/minimatics/projects/<project_id>",
    operation_id="get_project",
    summary="Show a project",
    description="Returns the latest version, or an earlier one, which never changes.",
    tags=["Minimatics"],
    responses=answers(200, 403, 404, 503),
)
def get_project(
    project_id: Annotated[str, Path(max_length=64)],
    version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> ProjectResponse:
    return service.get_project(get_caller(app), project_id, version)


lambda_handler = create_handler(app)
