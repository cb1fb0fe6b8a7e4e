"""Jobs: start, watch, cancel, and see to it that every one of them ends."""

import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from studio import storage
from studio.caller import Caller
from studio.compute_tasks import callbacks, dispatch, repository
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
    GoneError,
    InvalidFieldError,
    NotFoundError,
    StudioError,
    TooManyRequestsError,
    UnavailableError,
)
from studio.mongo import insist
from studio.observability import count, logger

_CLEANED_AT_ONCE = 200
_CHECKED_EVERY = timedelta(minutes=5)
_CAUSE_LENGTH = 500
_POLL_SECONDS = 0.5
_JOB_RETRY_SECONDS = 5  # when to ask again where there are too many: a job's usual time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START_SECONDS = 300  # for Batch to start a container: mostly pulling the image
# What a result has of objects, and what each is told as.
_URLS = {
    "result_key": "image_url",
    "manifest_key": "manifest_url",
    "film_key": "film_url",
    "poster_key": "poster_url",
    "edl_key": "edl_url",
    "srt_key": "srt_url",
    "webvtt_key": "webvtt_url",
}


class JobOverError(Exception):
    """There is nothing to do: no such job, or one that is over.

    Attributes
    ----------
    status : str or None
        Of the job; None where there is none.
    """

    def __init__(self, job_id: str, job: Job | None) -> None:
        super().__init__(f"there is no job {job_id}" if job is None else f"the job {job_id} is {job.status}")
        self.status = job.status if job else None


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
        lose(job, JobError(code="WORKER_LOST", message="the worker crashed"))
    return repository.find_job(job.id) or job


def find_live(job_id: str) -> Job:
    """Find the job that an execution works on, which follows its execution where that was redriven.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    Job
        QUEUED or PROCESSING.

    Raises
    ------
    JobOverError
        If there is none, or it is over.
    """
    job = repository.find_job(job_id)
    if job and job.execution_arn and job.status != "COMPLETED":
        # Not told by the execution's own state: a redriven Map gives its children the input of before.
        execution = _look_at_execution(job)
        if execution and execution["status"] == "RUNNING" and execution["redriveCount"] > job.redrives:
            job = repository.reopen_job(job_id, execution["redriveCount"], utc_now()) or repository.find_job(job_id)
    if job is None or job.status in FINAL:
        raise JobOverError(job_id, job)
    return job


def begin(job_id: str) -> Job:
    """Return a job that runs in an execution's steps: from now on, or already.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    Job
        PROCESSING.

    Raises
    ------
    JobOverError
        If there is none, or it is over.
    """
    job: Job | None = find_live(job_id)
    if job and job.status == "QUEUED":
        job = repository.start_job(job_id, job.attempt, utc_now()) or repository.find_job(job_id)
    if job is None or job.status != "PROCESSING":
        raise JobOverError(job_id, job)
    return job


def complete(job: Job, result: dict[str, Any]) -> None:
    """Complete a job: by the last state of its execution.

    Parameters
    ----------
    job : Job
        As `begin` returned it.
    result : dict

    Raises
    ------
    JobOverError
        If it failed or was cancelled meanwhile.
    """
    if callbacks.announce(insist(lambda: repository.complete_job(job.id, job.attempt, result, utc_now()))):
        return
    found = insist(lambda: repository.find_job(job.id))
    if found is None or found.status != "COMPLETED":  # else by us, whom MongoDB's answer did not reach
        raise JobOverError(job.id, found)


def prepare_container(job_id: str) -> dict[str, Any]:
    """Return what Batch must know to run a job: the first state of its execution.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    dict
        As `container_needs` returns it.

    Raises
    ------
    JobOverError
        If there is nothing to do.
    InvalidFieldError
        If it is no job for Batch.
    """
    job = insist(lambda: find_live(job_id))
    if job.target != "BATCH":
        raise InvalidFieldError(f"the job {job_id} runs as {job.target}")
    return container_needs(TASKS[job.task_type])


def container_needs(task: Task) -> dict[str, Any]:
    """Return what Batch must know of a task's containers.

    Parameters
    ----------
    task : Task

    Returns
    -------
    dict
        ``vcpu`` and ``memory_mb`` as texts, as Batch has them; ``attempt_seconds``, after which an attempt is ended
        from outside; ``timeout_seconds`` for all of it, waiting for containers included.
    """
    attempt_seconds = math.ceil(task.timeout_seconds) + 60  # the worker itself ends it first, and says so
    queue_seconds = ComputeTaskSettings.load().batch_queue_seconds
    return {
        "vcpu": f"{task.resources.vcpu:g}",
        "memory_mb": str(task.resources.memory_mb),
        "attempt_seconds": attempt_seconds,
        "timeout_seconds": queue_seconds + task.attempts * (attempt_seconds + _START_SECONDS),
    }


def describe(caller: Caller, job_id: str) -> JobResponse:
    """Tell one of the caller's jobs.

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
    """
    job = _find(caller, job_id)
    told = tell(job)
    if job.progress.preview_key:
        told.progress.preview_url, _ = storage.presign_download(job.progress.preview_key)
    return told


def list_jobs(
    caller: Caller, limit: int, cursor: str | None, status: Status | None, task_type: str | None
) -> ListJobsResponse:
    """List the caller's jobs, newest first.

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
    """
    filters = {name: value for name, value in {"status": status, "taskType": task_type}.items() if value}
    before = None
    if cursor:
        milliseconds, _, job_id = cursor.partition("-")
        before = _EPOCH + timedelta(milliseconds=int(milliseconds)), job_id
    found = repository.list_jobs(caller.user_id, before, limit + 1, filters)
    last = found[limit - 1] if len(found) > limit else None
    return ListJobsResponse(
        items=[tell(job) for job in found[:limit]],
        next_cursor=f"{(last.created_at - _EPOCH) // timedelta(milliseconds=1)}-{last.id}" if last else None,
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
    return renew(job.result)


def cancel(caller: Caller, job_id: str) -> JobResponse:
    """Cancel one of the caller's jobs; its worker stops within two heartbeats.

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
    ConflictError
        If it is over already.
    """
    cancelled = callbacks.announce(repository.cancel_job(job_id, caller.user_id, utc_now()))
    if cancelled is None:
        job = _find(caller, job_id)
        raise ConflictError(f"the job is {job.status} already", code="JOB_FINISHED")
    dispatch.stop(cancelled)
    return tell(cancelled)


def lose(job: Job, error: JobError, *, start: bool = True, unless_heard: bool = False) -> Job | None:
    """Replace an attempt that was lost by another one, or fail the job where there are no more.

    Parameters
    ----------
    job : Job
        With the attempt that was lost.
    error : JobError
        Why, as far as known.
    start : bool
        Whether the other attempt must be started; a container's is, by Batch.
    unless_heard : bool
        Leave it if its worker has given a sign of life since the job was read.

    Returns
    -------
    Job or None
        None where the job is over or another attempt has begun meanwhile.
    """
    attempts = TASKS[job.task_type].attempts if job.task_type in TASKS else 1
    attempt = job.attempt - job.spent_attempts
    silent_since = repository.silence(job) if unless_heard else None
    if attempt < attempts:
        queued = repository.requeue_job(job.id, job.attempt, utc_now(), silent_since)
        if queued:
            count("JobAttemptLost")
            logger.warning("a job's attempt was lost", job_id=job.id, attempt=job.attempt, reason=error.message)
            if start:
                dispatch.start(queued)
        return queued
    spent = error.model_copy(update={"message": f"{error.message} (attempt {attempt} of {attempts})"})
    return callbacks.announce(repository.fail_job(job.id, job.attempt, spent, utc_now(), silent_since))


def reconcile(job_id: str, attempt: int) -> Status | None:
    """Replace an attempt whose worker crashed.

    Parameters
    ----------
    job_id : str
    attempt : int

    Returns
    -------
    str or None
        What the job is now; None where it is over or another attempt has it.
    """
    job = repository.find_job(job_id)
    if job is None or job.attempt != attempt:
        return None
    left = lose(job, JobError(code="WORKER_LOST", message="the worker crashed"))
    return left.status if left else None


def reconcile_execution(job_id: str, execution: Mapping[str, Any]) -> Status | None:
    """Record that a job's execution ended or was redriven, where the job does not know it.

    A job is completed by its own work, which stores the result along with that: one whose execution has succeeded
    without it has no result, and fails.

    Parameters
    ----------
    job_id : str
    execution : mapping
        With ``status`` and ``redriveCount``, and ``error`` and ``cause`` where there are any.

    Returns
    -------
    str or None
        What the job is now; None where it knew.
    """
    status, redrives = execution["status"], execution.get("redriveCount") or 0
    if status == "RUNNING":
        reopened = repository.reopen_job(job_id, redrives, utc_now())
        return reopened.status if reopened else None
    if status == "ABORTED":
        told = ": ".join(part for part in (execution.get("error"), execution.get("cause")) if part)
        error = JobError(code="ABORTED", message=(told or "its execution was stopped")[:_CAUSE_LENGTH], status=409)
        ended = repository.end_job(job_id, "CANCELLED", error, redrives, utc_now())
    else:
        ended = repository.end_job(job_id, "FAILED", _explain(job_id, execution), redrives, utc_now())
    callbacks.announce(ended)
    return ended.status if ended else None


def clean_up() -> int:
    """Start again, replace or fail every job whose worker never started or has gone silent.

    Returns
    -------
    int
        How many there were.
    """
    settings, now = ComputeTaskSettings.load(), utc_now()
    stale = repository.find_stale(
        now - timedelta(seconds=settings.stale_queued_seconds),
        now - timedelta(seconds=settings.stale_processing_seconds),
        now - _CHECKED_EVERY,
        _CLEANED_AT_ONCE,
    )
    is_answered = True  # by Step Functions; that it is not takes seconds to find out
    for job in stale:
        if job.execution_arn and not is_answered:
            continue
        try:
            execution = dispatch.find_execution(job) if job.execution_arn else None
        except (BotoCoreError, ClientError) as failed:
            logger.exception("Step Functions does not answer; the job waits for the next clean-up", job_id=job.id)
            is_answered = isinstance(failed, ClientError)
            continue
        if execution:
            if execution["status"] == "RUNNING":
                repository.mark_checked(job.id, now)
            else:  # its event did not come
                reconcile_execution(job.id, execution)
        elif job.status == "QUEUED":
            if now - job.queued_at < timedelta(seconds=settings.never_started_seconds):
                # Lambda may still come to it, and then finds it done: an attempt has one worker.
                repository.mark_checked(job.id, now)
                dispatch.start(job)
                continue
            message = f"it waited for {settings.never_started_seconds:g} s; its worker may never have started"
            error = JobError(code="NEVER_STARTED", message=message, status=503)
            callbacks.announce(repository.fail_job(job.id, job.attempt, error, now, repository.silence(job)))
        else:
            message = f"its worker gave no sign of life for {settings.stale_processing_seconds:g} s"
            lose(job, JobError(code="WORKER_LOST", message=message), unless_heard=True)
    return len(stale)


def fresh(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with new presigned URLs, where it has stored pictures or files.

    Parameters
    ----------
    result : dict
    """
    renewed = dict(result)
    for key_name, url_name in _URLS.items():
        if key := result.get(key_name):
            renewed[url_name], expires_at = storage.presign_download(key)
            renewed["expires_at"] = expires_at.isoformat()
    return renewed


def renew(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result of before with a new presigned URL, unless what it leads to has expired.

    Parameters
    ----------
    result : dict

    Raises
    ------
    GoneError
        If its picture or manifest is no more: objects live shorter than what names them, and a cache can be purged.
    """
    key = _result_key(result)
    if key and storage.get_size(key) is None:
        message = "the result has expired; ask for it anew, with another Idempotency-Key where there was one"
        raise GoneError(message, code="RESULT_EXPIRED")
    return fresh(result)


def _result_key(result: Mapping[str, Any]) -> str | None:
    return next((key for name in _URLS if (key := result.get(name))), None)


def failure(job: Job) -> StudioError:
    """Return the error of a failed or cancelled job as the request would have been answered it.

    Parameters
    ----------
    job : Job
    """
    error = job.error or JobError(code=f"JOB_{job.status}", message=f"the job {job.id} is {job.status}", status=409)
    answer = StudioError(error.message, code=error.code)
    answer.status = HTTPStatus(error.status)
    return answer


def accepted(job: Job) -> AcceptedResponse:
    """Tell a job that goes on.

    Parameters
    ----------
    job : Job
    """
    return AcceptedResponse(job_id=job.id, status=job.status, status_url=_url(job, "status"))


def tell(job: Job) -> JobResponse:
    """Tell a job as the API does.

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


def _explain(job_id: str, execution: Mapping[str, Any]) -> JobError:
    """Return why a job fails with its execution, or without a result in spite of it."""
    status, told, cause = execution["status"], execution.get("error") or "", execution.get("cause") or ""
    if status == "SUCCEEDED":
        return JobError(code="NO_RESULT", message="its execution succeeded, but left no result of the job")
    if status == "TIMED_OUT" or told == "States.Timeout":
        job = repository.find_job(job_id)
        is_running = job is not None and job.status == "PROCESSING"
        why = "it took too long" if is_running else "it waited for too long; its container may never have started"
        return JobError(code="EXECUTION_TIMED_OUT", message=why, status=504)
    logger.error("an execution failed", job_id=job_id, error=told, cause=cause)
    return JobError(code="EXECUTION_FAILED", message=_read_cause(cause)[:_CAUSE_LENGTH])


def _read_cause(cause: str) -> str:
    """Return what Batch says of a container that failed. All else is ours, and not for users."""
    try:
        found = json.loads(cause)
    except ValueError:  # none, or cut at Step Functions' limit
        found = {}
    container = found.get("Container") or {}
    parts = [found.get("StatusReason"), container.get("Reason")]
    if "ExitCode" in container:
        parts.append(f"exit code {container['ExitCode']}")
    return ", ".join(part for part in parts if part) or "something went wrong on our side"


def _look_at_execution(job: Job) -> dict[str, Any] | None:
    """Return what Step Functions says of a job's execution; None, too, where it does not and the job goes on."""
    try:
        return dispatch.find_execution(job)
    except (BotoCoreError, ClientError):
        if job.status in FINAL:  # nobody knows whether it was redriven
            raise
        logger.exception("Step Functions does not answer; the job goes on as it is", job_id=job.id)
        return None


def _find(caller: Caller, job_id: str) -> Job:
    job = repository.find_job(job_id, caller.user_id)
    if job is None:
        raise NotFoundError(f"you have no job {job_id[:64]}", code="JOB_NOT_FOUND", field="job_id")
    return job


def _url(job: Job, what: str) -> str:
    return f"/compute-tasks/{job.id}/{what}"
