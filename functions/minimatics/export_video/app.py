from studio.compute_tasks.models import AcceptedResponse
from studio.http import answers, create_app, create_handler, get_caller, get_deadline, get_job_id
from studio.minimatics.export import service
from studio.minimatics.export.models import ExportPlanResponse, ExportResponse, ExportVideoRequest

app = create_app()


@app.post(
    "/minimatics/exportVideo",
    operation_id="export_video",
    summary="Export a project to a film",
    description="Starts a job that makes a film of one version of the project: containers render its segments, which "
    "are then joined. The result has the film, a poster, an edit list and subtitles. `dry_run` returns the plan "
    "instead.",
    tags=["Minimatics"],
    responses=answers(200, 400, 403, 404, 409, 410, 415, 503, models={202: AcceptedResponse}),
)
def export_video(request: ExportVideoRequest) -> tuple[ExportResponse | ExportPlanResponse | AcceptedResponse, int]:
    return service.submit(get_caller(app), request, get_deadline(app), get_job_id(app))


lambda_handler = create_handler(app, idempotent=True, scope="export")
