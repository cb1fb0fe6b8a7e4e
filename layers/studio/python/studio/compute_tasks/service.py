"""Jobs: start, watch and cancel."""

import math
import time
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from studio import results, storage
from studio.caller import Caller
from studio.compute_tasks import callbacks, dispatch, recovery, repository
from studio.compute_tasks.models import (
    FINAL,
    AcceptedResponse,
    Callback,
    CallbackResponse,
    Job,
    JobError,
    JobErrorResponse,
    JobResponse,
    ListJobsResponse,
    ProgressResponse,
    Status,
    Target,
    TaskOptions,
)
from studio.compute_tasks.registry import TASKS, Task
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.documents import new_id, utc_now
from studio.errors import (
    ConflictError,
    InvalidFieldError,
    NotFoundError,
    StudioError,
    TooManyRequestsError,
    UnavailableError,
)
from studio.pages import read_cursor, write_cursor

_POLL_SECONDS = 0.5
_JOB_RETRY_SECONDS = 5  # when to ask again where there are too many: a job's usual time


def choose_target(task_type: str, asked: Target | None) -> Target:
    """Return where a job of a task is to run.

    Parameters
    ----------
    task_type : str
        Of the registry.
    asked : {"LAMBDA", "BATCH"} or None

    Returns
    -------
    {"LAMBDA", "BATCH"}

    Raises
    ------
    InvalidFieldError
        If the task is disabled, or does not run there.
    UnavailableError
        If its state machine is not configured.
    """
    task = TASKS[task_type]
    if not task.enabled:
        raise InvalidFieldError(
            f"the task {task_type} is disabled in this deployment", code="TASK_DISABLED", field="use_container"
        )
    target = asked or task.targets[0]
    if target not in task.targets:
        raise InvalidFieldError(f"{task_type} runs as {' or '.join(task.targets)}; got {target}", field="target")
    _machine_arn(task, target)
    return target


def submit(
    caller: Caller,
    task_type: str,
    request: BaseModel,
    options: TaskOptions,
    job_id: str | None = None,
    deadline: float = math.inf,
) -> Job:
    """Start a job, and wait for it where that is asked for.

    Once it is stored it is never lost: a worker that cannot be reached or dies is replaced by the clean-up.

    Parameters
    ----------
    caller : Caller
    task_type : str
        Of the registry.
    request : pydantic.BaseModel
        What the task works on; small, for it is stored.
    options : TaskOptions
    job_id : str, optional
        For a job of which something is stored already, or all of it: then it is answered, and none is started.
    deadline : float, optional
        Until when to wait at most, of `time.monotonic`, whatever the options say.

    Returns
    -------
    Job
        As it is now.

    Raises
    ------
    InvalidFieldError
        If the task is disabled, or does not run where it is asked to.
    UnavailableError
        If its state machine is not configured.
    TooManyRequestsError
        If the caller has as many jobs as allowed that are not over.
    """
    target = choose_target(task_type, options.target)
    now, job_id = utc_now(), job_id or new_id("job")
    machine_arn = _machine_arn(TASKS[task_type], target)
    execution_arn = dispatch.execution_arn(machine_arn, job_id) if machine_arn else None
    job = Job(
        id=job_id,
        user_id=caller.user_id,
        key_id=caller.key_id,
        scopes=sorted(caller.scopes),
        task_type=task_type,
        target=target,
        payload=request.model_dump(mode="json"),
        execution_arn=execution_arn,
        callback=Callback(url=options.callback_url) if options.callback_url else None,
        created_at=now,
        queued_at=now,
        expires_at=now + timedelta(days=ComputeTaskSettings.load().job_ttl_days),
    )
    limit = ComputeTaskSettings.load().concurrent_jobs
    if not repository.insert_job(job, limit):
        if there := repository.find_job(job.id):
            return there
        message = f"you may have {limit:,} jobs at once, and have as many: wait for one, or cancel one"
        raise TooManyRequestsError(message, code="TOO_MANY_JOBS", retry_after=_JOB_RETRY_SECONDS)
    wait = min(options.wait_timeout_seconds, deadline - time.monotonic()) if options.wait_for_result else 0
    if wait <= 0 or execution_arn:
        dispatch.start(job)
        return _wait(job, wait)
    if not dispatch.run(job, wait):
        recovery.retry_or_fail(job, JobError(code="WORKER_LOST", message="the worker crashed"))
    return repository.find_job(job.id) or job


def describe(caller: Caller, job_id: str) -> JobResponse:
    """Describe one of the caller's jobs.

    Parameters
    ----------
    caller : Caller
    job_id : str

    Returns
    -------
    JobResponse

    Raises
    ------
    NotFoundError
        If the caller has no such job.
    ForbiddenError
        If the key's scopes do not allow the job's task.
    """
    job = _find(caller, job_id)
    response = to_response(job)
    if job.progress.preview_key:
        response.progress.preview_url, _ = storage.presign_download(job.progress.preview_key)
    return response


def list_jobs(
    caller: Caller, limit: int, cursor: str | None, status: Status | None, task_type: str | None
) -> ListJobsResponse:
    """List the caller's jobs, newest first, but for those of tasks that the key's scopes do not allow.

    Parameters
    ----------
    caller : Caller
    limit : int
        Size of a page, 1 to 100.
    cursor : str or None
        `next_cursor` of the page before.
    status, task_type : str or None
        Only such ones.

    Returns
    -------
    ListJobsResponse

    Raises
    ------
    InvalidFieldError
        If there is no such task.
    ForbiddenError
        If the key's scopes do not allow that task.
    """
    filters: dict[str, Any] = {
        "taskType": {"$nin": [name for name, task in TASKS.items() if task.scope not in caller.scopes]}
    }
    if task_type is not None:
        if task_type not in TASKS:
            message = f"a task is one of {', '.join(TASKS)}; got {task_type!r:.66}"
            raise InvalidFieldError(message, field="task_type")
        caller.require(TASKS[task_type].scope, field="task_type")
        filters["taskType"] = task_type
    if status:
        filters["status"] = status
    found = repository.list_jobs(caller.user_id, read_cursor(cursor) if cursor else None, limit + 1, filters)
    last = found[limit - 1] if len(found) > limit else None
    return ListJobsResponse(
        items=[to_response(job) for job in found[:limit]],
        next_cursor=write_cursor((last.created_at, last.id)) if last else None,
    )


def get_result(caller: Caller, job_id: str) -> dict[str, Any]:
    """Return the answer of one of the caller's jobs, with a fresh URL where its picture is.

    Parameters
    ----------
    caller : Caller
    job_id : str

    Returns
    -------
    dict
        What the request would have been answered at once.

    Raises
    ------
    NotFoundError
        If the caller has no such job.
    ForbiddenError
        If the key's scopes do not allow the job's task.
    ConflictError
        If it is not over, or did not end well.
    GoneError
        If its picture or manifest has expired.
    """
    job = _find(caller, job_id)
    if job.status not in FINAL:
        raise ConflictError(f"the job is {job.status}; ask again later", code="JOB_NOT_FINISHED")
    if job.result is None:
        why = f": {job.error.code}: {job.error.message}" if job.error else ""
        raise ConflictError(f"the job is {job.status} and has no result{why}", code=f"JOB_{job.status}")
    return results.presign_if_stored(job.result)


def cancel(caller: Caller, job_id: str) -> JobResponse:
    """Cancel one of the caller's jobs; its worker stops within two heartbeats. Once more changes nothing.

    Parameters
    ----------
    caller : Caller
    job_id : str

    Returns
    -------
    JobResponse

    Raises
    ------
    NotFoundError
        If the caller has no such job.
    ForbiddenError
        If the key's scopes do not allow the job's task.
    ConflictError
        If it has completed or failed.
    """
    _find(caller, job_id)
    job = callbacks.announce(repository.cancel_job(job_id, caller.user_id, utc_now())) or _find(caller, job_id)
    if job.status != "CANCELLED":
        raise ConflictError(f"the job is {job.status} already", code="JOB_FINISHED")
    dispatch.stop(job)
    return to_response(job)


def to_error(job: Job, is_inline: bool = False) -> StudioError:
    """Return the error of a failed or cancelled job as the request would have been answered it.

    Parameters
    ----------
    job : Job
    is_inline : bool
        Whether its image came with the request: the job was given it by a key.
    """
    error = job.error or JobError(code=f"JOB_{job.status}", message=f"the job {job.id} is {job.status}", status=409)
    field = "image" if is_inline and error.field == "image_key" else error.field
    answer = StudioError(error.message, code=error.code, field=field)
    answer.status = HTTPStatus(error.status)
    return answer


def to_accepted(job: Job) -> AcceptedResponse:
    """Describe a job that goes on.

    Parameters
    ----------
    job : Job
    """
    return AcceptedResponse(job_id=job.id, status=job.status, status_url=_url(job, "status"))


def to_response(job: Job) -> JobResponse:
    """Describe a job as the API does.

    Parameters
    ----------
    job : Job
    """
    now = utc_now()
    return JobResponse(
        job_id=job.id,
        task_type=job.task_type,
        target=job.target,
        status=job.status,
        progress=ProgressResponse.model_validate(job.progress.model_dump()),
        attempt=job.attempt,
        error=JobErrorResponse(code=job.error.code, message=job.error.message) if job.error else None,
        queue_seconds=((job.started_at or job.finished_at or now) - job.created_at).total_seconds(),
        run_seconds=((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else None,
        status_url=_url(job, "status"),
        result_url=_url(job, "result") if job.status == "COMPLETED" else None,
        callback=CallbackResponse.model_validate(job.callback.model_dump()) if job.callback else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _machine_arn(task: Task, target: Target) -> str | None:
    """Return the state machine that runs a task; None where the worker does."""
    setting = task.state_machine or ("run_task_state_machine" if target == "BATCH" else "")
    if not setting:
        return None
    arn: str | None = getattr(ComputeTaskSettings.load(), setting)
    if not arn:
        raise UnavailableError(f"this task is not configured as {target}: set {setting.upper()}")
    return arn


def _wait(job: Job, seconds: float) -> Job:
    """Return a job once it is over, or as it is when the time is."""
    deadline = time.monotonic() + seconds
    while job.status not in FINAL and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(_POLL_SECONDS, left))
        job = repository.find_job(job.id) or job
    return job


def _find(caller: Caller, job_id: str) -> Job:
    job = repository.find_job(job_id, caller.user_id)
    if job is None:
        raise NotFoundError(f"you have no job {job_id[:64]}", code="JOB_NOT_FOUND", field="job_id")
    if task := TASKS.get(job.task_type):
        caller.require(task.scope)
    return job


def _url(job: Job, what: str) -> str:
    return f"/compute-tasks/{job.id}/{what}"
