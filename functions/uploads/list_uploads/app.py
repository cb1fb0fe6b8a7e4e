from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.uploads import service
from studio.uploads.models import ListUploadsResponse

app = create_app()


@app.get(
    "/uploads",
    operation_id="list_uploads",
    summary="List your uploads",
    description="Oldest first.",
    tags=["Uploads"],
    responses=answers(200, 403, 503),
)
def list_uploads(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, pattern="^upl_[0-9a-f]{24}$")] = None,
) -> ListUploadsResponse:
    return service.list_uploads(get_caller(app), limit, cursor)


lambda_handler = create_handler(app)
