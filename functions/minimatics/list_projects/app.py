from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.minimatics import service
from studio.minimatics.api_models import ListProjectsResponse

app = create_app()


@app.get(
    "/minimatics/projects",
    operation_id="list_projects",
    summary="List your projects",
    description="Newest first.",
    tags=["Minimatics"],
    responses=answers(200, 403, 503),
)
def list_projects(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, pattern="^prj_[0-9a-f]{24}$")] = None,
) -> ListProjectsResponse:
    return service.list_projects(get_caller(app), limit, cursor)


lambda_handler = create_handler(app)
