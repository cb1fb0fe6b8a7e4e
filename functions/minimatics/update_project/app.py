from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.minimatics import service
from studio.minimatics.api_models import ProjectResponse, UpdateProjectBody

app = create_app()


@app.put(
    "/minimatics/projects/<project_id>",
    operation_id="update_project",
    summary="Replace a project",
    description="Makes the next version, and keeps the earlier ones. With `version`, only if that is still the latest; "
    "otherwise a 409 `PROJECT_CHANGED` names both. Without it, the last to write wins. The response of a GET can be "
    "sent as it is: fields that only responses have are ignored.",
    tags=["Minimatics"],
    responses=answers(200, 400, 403, 404, 409, 413, 415, 503),
)
def update_project(
    project_id: Annotated[str, Path(max_length=64)], request: Annotated[UpdateProjectBody, Body()]
) -> ProjectResponse:
    return service.update_project(get_caller(app), project_id, request)


lambda_handler = create_handler(app)
