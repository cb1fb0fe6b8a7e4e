from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from studio.http import answers, create_app, create_handler, get_caller
from studio.uploads import service

app = create_app()


@app.delete(
    "/uploads/<upload_id>",
    status_code=204,
    operation_id="delete_upload",
    summary="Delete an upload",
    tags=["Uploads"],
    responses=answers(204, 403, 404, 503),
)
def delete_upload(upload_id: Annotated[str, Path(max_length=64)]) -> None:
    service.delete_upload(get_caller(app), upload_id)


lambda_handler = create_handler(app)
