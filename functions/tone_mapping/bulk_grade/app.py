from http import HTTPStatus

from studio.compute_tasks.models import AcceptedResponse
from studio.http import answers, create_app, create_handler, get_caller, get_job_id
from studio.tone_mapping.bulk import service
from studio.tone_mapping.bulk.models import BulkGradeRequest

app = create_app()


@app.post(
    "/tone-mapping/bulk",
    operation_id="bulk_grade",
    summary="Grade many images",
    description="Starts a job that grades up to 10,000 of your images alike; one that fails does not stop the others.",
    tags=["Tone mapping"],
    responses=answers(202, 400, 403, 404, 409, 415, 503, models={202: AcceptedResponse}),
)
def bulk_grade(request: BulkGradeRequest) -> tuple[AcceptedResponse, int]:
    return service.submit(get_caller(app), request, get_job_id(app)), HTTPStatus.ACCEPTED


lambda_handler = create_handler(app, idempotent=True, scope="grade")
