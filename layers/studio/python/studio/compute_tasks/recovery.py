"""Seeing to it that every job ends: attempts that were lost, executions that ended, workers that never started."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from studio.compute_tasks import callbacks, dispatch, repository
from studio.compute_tasks.models import Job, JobError, Status
from studio.compute_tasks.registry import TASKS
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.documents import utc_now
from studio.observability import count, logger

_CLEANED_AT_ONCE = 200
_CHECKED_EVERY = timedelta(minutes=5)
_CAUSE_LENGTH = 500


def retry_or_fail(job: Job, error: JobError, *, start: bool = True, unless_heard: bool = False) -> Job | None:
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
    left = retry_or_fail(job, JobError(code="WORKER_LOST", message="the worker crashed"))
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
    is_answered, is_delayed = True, False  # by Step Functions; that it does not answer takes seconds to find out
    for job in stale:
        if job.execution_arn and not is_answered:
            continue
        try:
            execution = dispatch.find_execution(job) if job.execution_arn else None
        except (BotoCoreError, ClientError) as failed:
            logger.exception("Step Functions does not answer; the job waits for the next clean-up", job_id=job.id)
            is_answered, is_delayed = isinstance(failed, ClientError), True
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
            retry_or_fail(job, JobError(code="WORKER_LOST", message=message), unless_heard=True)
    if is_delayed:
        count("CleanUpDelayed", stage=settings.stage)  # an alarm watches this
    return len(stale)


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
