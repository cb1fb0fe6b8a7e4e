"""Exporting a film: the request, and the states of its execution that need no pixels."""

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from studio import storage
from studio.caller import Caller
from studio.compute_tasks import api, callbacks, executions
from studio.compute_tasks import repository as jobs
from studio.compute_tasks.models import AcceptedResponse, Job, JobError
from studio.compute_tasks.registry import TASKS
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.documents import utc_now
from studio.errors import GoneError, InvalidFieldError, NotFoundError, StudioError, refuse_fields
from studio.minimatics import references
from studio.minimatics import repository as projects
from studio.minimatics.api_models import StoredProject
from studio.minimatics.export import repository
from studio.minimatics.export.models import (
    ExportEstimate,
    ExportJob,
    ExportOrder,
    ExportPlanResponse,
    ExportResponse,
    ExportVideoRequest,
)
from studio.minimatics.export.settings import ExportSettings
from studio.minimatics.models import FilmOutput, Project, Size
from studio.minimatics.segments import Plan, plan_film
from studio.minimatics.service import find_version
from studio.minimatics.timeline import Timeline
from studio.mongo import retry_until_up
from studio.object_keys import job_key
from studio.observability import logger

TASK = "minimatics_export"
_FREE_DISK_GB = 20  # of Fargate

# It is a part of objects' names and of those of Batch jobs.
_JOB_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,79}")


def submit(
    caller: Caller, request: ExportVideoRequest, deadline: float, job_id: str | None = None
) -> tuple[ExportPlanResponse | ExportResponse | AcceptedResponse, int]:
    """Start a job that exports a film, or return its plan.

    Parameters
    ----------
    caller : Caller
    request : ExportVideoRequest
    deadline : float
        Until when to wait for the film where the request asks for that, of `time.monotonic`.
    job_id : str, optional
        For the job; where there is one of that id already, it is answered.

    Returns
    -------
    answer : pydantic.BaseModel
    status : int
        200 with the plan or with the film, 202 with the job.

    Raises
    ------
    ForbiddenError
        If the caller's key may not export.
    NotFoundError
        If the caller has no such project, or it has no such version.
    InvalidFieldError
        If size or output do not fit the project, or the film is too long, by its frames or its work.
    UnavailableError
        If exports, or callbacks that are asked for, are not configured.
    """
    caller.require("export")
    if request.dry_run:
        return _to_plan_response(caller, *_order(caller.user_id, request)), HTTPStatus.OK
    return api.submit(
        caller, TASK, request, ExportResponse, lambda: _order(caller.user_id, request)[1], deadline, job_id
    )


def plan(job_id: str, execution_arn: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Begin an export: the first state of its execution, which registers a job where it was started by hand.

    Parameters
    ----------
    job_id : str
        The execution's name.
    execution_arn : str
    given : mapping
        The execution's input: an `ExportOrder` where there is no job yet.

    Returns
    -------
    dict
        What the next states need: ``job_id``, ``segments``, ``concurrency``, and what Batch must know.

    Raises
    ------
    JobOverError
        If there is nothing to do.
    StudioError
        If no film can be made; the job has failed, then.
    """
    job = retry_until_up(lambda: jobs.find_job(job_id) or _register(job_id, execution_arn, given))
    if (job.task_type, job.execution_arn) != (TASK, execution_arn):
        raise InvalidFieldError(f"the job {job_id} is not this execution's")
    job = retry_until_up(lambda: executions.begin(job_id))
    try:
        project, order = retry_until_up(lambda: load(job))
        if problems := retry_until_up(lambda: _find_missing(job.caller, project)):
            refusal = refuse_fields(problems)
            refusal.code = "MEDIA_INVALID"
            raise refusal
    except StudioError as error:
        fail(job, error.code, error.message, int(error.status))
        raise
    return {
        "job_id": job_id,
        "segments": [str(segment.index) for segment in order.plan.segments],
        "concurrency": ExportSettings.load().export_concurrency,
        **executions.container_needs(TASKS[TASK]),
    }


def load(job: Job) -> tuple[Project, ExportJob]:
    """Return the film that a job makes, and how.

    Parameters
    ----------
    job : Job

    Raises
    ------
    NotFoundError
        If the project was deleted meanwhile.
    """
    order = ExportJob.model_validate(job.payload)
    try:
        stored = find_version(job.user_id, order.project_id, order.version)
    except NotFoundError as error:
        message = f"the project {order.project_id} was deleted while it was exported"
        raise NotFoundError(message, code="PROJECT_DELETED") from error
    return _project(stored, order.size, order.output), order


def complete(job_id: str) -> str:
    """Complete an export: the last state of its execution.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    str
        Key of the film.

    Raises
    ------
    JobOverError
        If the job failed or was cancelled.
    GoneError
        If there is no film.
    """
    film = retry_until_up(lambda: repository.find_film(job_id))
    job = retry_until_up(lambda: executions.begin_unless_complete(job_id))
    if job is None:  # this state was here before, and did not come to its end
        job = retry_until_up(lambda: jobs.find_job(job_id))
        if job is None or film is None:
            raise executions.JobOverError(job_id, job)
    else:
        if film is None or storage.get_size(film["film_key"]) is None:
            raise GoneError(f"the job {job_id} has no film")
        executions.complete(job, film)
    _delete_parts(job)
    key: str = film["film_key"]
    return key


def fail(job: Job, code: str, message: str, status: int) -> None:
    """Fail a job for good, unless it is over or another attempt has it.

    Parameters
    ----------
    job : Job
    code, message : str
    status : int
        Of HTTP.
    """
    error = JobError(code=code, message=message, status=status)
    callbacks.announce(retry_until_up(lambda: jobs.fail_job(job.id, job.attempt, error, utc_now())))


def segment_key(job: Job, segment: int) -> str:
    """Key of a rendered segment.

    Parameters
    ----------
    job : Job
    segment : int
    """
    return job_key(job.user_id, job.id, f"segments/{segment:04}.mp4")


def preview_key(job: Job, segment: int) -> str:
    """Key of a picture of what a segment shows so far.

    Parameters
    ----------
    job : Job
    segment : int
    """
    return job_key(job.user_id, job.id, f"previews/{segment:04}.jpg")


def _order(user_id: str, order: ExportOrder) -> tuple[Project, ExportJob]:
    stored = find_version(user_id, order.project_id, order.version, field="projectId")
    project = _project(stored, order.size, order.output)
    settings, timeline = ExportSettings.load(), Timeline(project)
    if timeline.frames > settings.export_frames_max:
        message = f"a film may have {settings.export_frames_max:,} frames; this one has {timeline.frames:,}"
        raise InvalidFieldError(message, code="FILM_TOO_LONG", field="projectId")
    film = plan_film(
        timeline,
        target_seconds=settings.export_segment_seconds,
        segments_max=settings.export_segments_max,
        encoder_threads=int(TASKS[TASK].resources.vcpu),
    )
    seconds, limit = _estimate(film).seconds, settings.export_seconds_max
    if seconds > limit:
        message = (
            f"an export may take {limit:,.0f} s; this one is estimated at {seconds:,.0f} s: "
            "take a smaller size, another codec or a lower quality, or make two films of it"
        )
        raise InvalidFieldError(message, code="FILM_TOO_LONG", field="projectId")
    return project, ExportJob(
        project_id=stored.id, version=stored.version, size=order.size, output=order.output, plan=film
    )


def _project(stored: StoredProject, size: Size | None, output: FilmOutput | None) -> Project:
    """Make a stored version the project that is exported."""
    changes = {name: given.model_dump() for name, given in {"size": size, "output": output}.items() if given}
    try:
        return Project.model_validate({**stored.film, **changes})
    except ValidationError as error:
        raise refuse_fields([(problem["loc"], problem) for problem in error.errors(include_url=False)]) from error


def _register(job_id: str, execution_arn: str, given: Mapping[str, Any]) -> Job:
    """Store the job of an execution that was started by hand; its owner is the project's."""
    if not _JOB_ID.fullmatch(job_id):
        raise InvalidFieldError(f"a name of an execution has letters, digits, - and _, at most 80; got {job_id}")
    try:
        order = ExportOrder.model_validate(given)
    except ValidationError as error:
        raise refuse_fields([(problem["loc"], problem) for problem in error.errors(include_url=False)]) from error
    latest = projects.find_project(order.project_id)
    if latest is None:
        raise NotFoundError(f"there is no project {order.project_id}", code="PROJECT_NOT_FOUND", field="project_id")
    now = utc_now()
    job = Job(
        id=job_id,
        user_id=latest.user_id,
        key_id="console",
        scopes=["export"],
        task_type=TASK,
        target="BATCH",
        payload=_order(latest.user_id, order)[1].model_dump(mode="json"),
        execution_arn=execution_arn,
        created_at=now,
        queued_at=now,
        expires_at=now + timedelta(days=ComputeTaskSettings.load().job_ttl_days),
    )
    jobs.insert_job(job)
    return job


def _find_missing(caller: Caller, project: Project) -> list[references.Problem]:
    return references.find_missing(caller, project.model_dump(mode="json", by_alias=True), set())


def _to_plan_response(caller: Caller, project: Project, order: ExportJob) -> ExportPlanResponse:
    problems = _find_missing(caller, project)
    return ExportPlanResponse(
        project_id=order.project_id,
        version=order.version,
        size=project.size,
        fps=project.fps,
        output=project.output,
        frames=order.plan.frames,
        duration_seconds=float(order.plan.frames / project.fps),
        concurrency=ExportSettings.load().export_concurrency,
        segments=list(order.plan.segments),
        estimate=_estimate(order.plan),
        problems=refuse_fields(problems).details if problems else [],
    )


def _estimate(film: Plan) -> ExportEstimate:
    settings, resources = ExportSettings.load(), TASKS[TASK].resources
    start, gigabytes = settings.export_start_seconds, resources.memory_mb / 1024
    runs = [start + segment.cost_seconds / resources.vcpu for segment in film.segments]
    lanes = [0.0] * settings.export_concurrency
    for seconds in runs:
        lanes[lanes.index(min(lanes))] += seconds
    hourly = resources.vcpu * settings.export_vcpu_hour_usd + gigabytes * settings.export_gb_hour_usd
    hourly += (settings.export_disk_gb - _FREE_DISK_GB) * settings.export_disk_gb_hour_usd
    return ExportEstimate(
        core_seconds=round(film.cost_seconds + film.joining_seconds, 1),
        seconds=round(max(lanes) + start + film.joining_seconds, 1),
        cost_usd=round((sum(runs) + start + film.joining_seconds) * hourly / 3600, 4),
        basis=(
            "What rendering and encoding a frame of this size, codec and quality took on one x86-64 core; "
            f"{resources.vcpu:g} vCPUs, {gigabytes:g} GB and {settings.export_disk_gb} GB of disk a segment; "
            f"{start:g} s for each container to start, "
            "that which joins the segments among them, whose work is counted for a GIF alone; Fargate on demand at "
            f"${settings.export_vcpu_hour_usd:g} a vCPU, ${settings.export_gb_hour_usd:g} a GB and "
            f"${settings.export_disk_gb_hour_usd:g} a GB of disk beyond {_FREE_DISK_GB} an hour. "
            "Spot, which is tried first, costs less."
        ),
    )


def _delete_parts(job: Job) -> None:
    segments = ExportJob.model_validate(job.payload).plan.segments
    keys = [key(job, segment.index) for segment in segments for key in (segment_key, preview_key)]
    try:
        storage.delete_many(keys)
    except (BotoCoreError, ClientError):
        logger.exception("what a film was made of stays until it expires", job_id=job.id)
