from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body

from studio.http import answers, create_app, create_handler, get_caller
from studio.minimatics import service
from studio.minimatics.api_models import CreateProjectBody, ProjectResponse

app = create_app()


@app.post(
    "/minimatics/projects",
    status_code=201,
    operation_id="create_project",
    summary="Create a project",
    description="Stores a storyboard that can be exported to a film. A 422 lists everything that is wrong with it: up "
    "to a hundred problems, each with its path. Pictures and recordings must be objects of yours that exist. The "
    "response of a GET can be sent as it is: fields that only responses have are ignored.",
    tags=["Minimatics"],
    responses=answers(201, 400, 403, 409, 413, 415, 503),
)
def create_project(request: Annotated[CreateProjectBody, Body()]) -> ProjectResponse:
    return service.create_project(get_caller(app), request)


lambda_handler = create_handler(app, idempotent=True, scope="export")
