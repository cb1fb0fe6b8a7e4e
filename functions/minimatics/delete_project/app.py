from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.minimatics import service

app = create_app()


@app.delete(
    "/minimatics/projects/<project_id>",
    status_code=204,
    operation_id="delete_project",
    summary="Delete a project",
    description="Deletes all of its versions; its pictures and recordings stay.",
    tags=["Minimatics"],
    responses=answers(204, 403, 404, 503),
)
def delete_project(project_id: Annotated[str, Path(max_length=64)]) -> None:
    service.delete_project(get_caller(app), project_id)


lambda_handler = create_handler(app)
