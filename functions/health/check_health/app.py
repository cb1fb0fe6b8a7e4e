from http import HTTPStatus

from studio.health import service
from studio.health.service import HealthResponse
from studio.http import answers, create_app, create_handler

app = create_app()


@app.get(
    "/health",
    operation_id="check_health",
    summary="Health",
    description="Tells whether MongoDB and the object store respond; a 503 if one does not.",
    tags=["Operations"],
    responses=answers(200)
    | {503: {"description": "Service Unavailable", "content": {"application/json": {"model": HealthResponse}}}},
)
def check_health() -> tuple[HealthResponse, int]:
    health = service.check_health()
    return health, HTTPStatus.OK if health.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE


lambda_handler = create_handler(app)
