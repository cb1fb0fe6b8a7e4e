from studio.auth import service
from studio.auth.models import DeleteUserRequest
from studio.http import answers, create_app, create_handler, get_address, get_caller

app = create_app()


@app.delete(
    "/auth/me",
    status_code=204,
    operation_id="delete_user",
    summary="Delete the user",
    description="Deletes everything that is yours, and cannot be undone. Keys, presets, projects and cached results "
    "are gone at once, and running jobs are cancelled; files, and whatever unfinished requests still write, are gone "
    "within minutes. A key can work for 60 seconds more, because the authorizer caches its answer. The email can be "
    "registered again.",
    tags=["Auth"],
    responses=answers(204, 400, 401, 403, 404, 415, 429, 503),
)
def delete_user(request: DeleteUserRequest) -> None:
    service.delete_user(get_caller(app), request, get_address(app))


lambda_handler = create_handler(app)
