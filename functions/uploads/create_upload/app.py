from studio.http import answers, create_app, create_handler, get_caller
from studio.uploads import service
from studio.uploads.models import CreateUploadRequest, CreateUploadResponse

app = create_app()


@app.post(
    "/uploads",
    status_code=201,
    operation_id="create_upload",
    summary="Start an upload",
    description="Returns a presigned form (or PUT) for one file. From then on, `image_key` names the file.",
    tags=["Uploads"],
    responses=answers(201, 400, 403, 409, 413, 415, 503),
)
def create_upload(request: CreateUploadRequest) -> CreateUploadResponse:
    return service.create_upload(get_caller(app), request)


lambda_handler = create_handler(app, idempotent=True)
