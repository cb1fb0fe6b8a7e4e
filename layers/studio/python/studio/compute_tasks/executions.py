"""Jobs that are executions of a state machine: what its states do with their job."""

import math
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from studio.compute_tasks import callbacks, dispatch, repository
from studio.compute_tasks.models import FINAL, Job
from studio.compute_tasks.registry import TASKS, Task
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.documents import utc_now
from studio.errors import InvalidFieldError
from studio.mongo import retry_until_up
from studio.observability import logger

_START_SECONDS = 300  # for Batch to start a container: mostly pulling the image


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
        # Not told by the execution's own state: a redriven Map gives its children the previous input.
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


def begin_unless_complete(job_id: str) -> Job | None:
    """Return a job as `begin` does, or None where it is complete: a state that is done again finds it so.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    Job or None

    Raises
    ------
    JobOverError
        If there is none, or it failed or was cancelled.
    """
    try:
        return begin(job_id)
    except JobOverError as over:
        if over.status == "COMPLETED":
            return None
        raise


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
    if callbacks.announce(retry_until_up(lambda: repository.complete_job(job.id, job.attempt, result, utc_now()))):
        return
    found = retry_until_up(lambda: repository.find_job(job.id))
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
    job = retry_until_up(lambda: find_live(job_id))
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


def _look_at_execution(job: Job) -> dict[str, Any] | None:
    """Return what Step Functions says of a job's execution; None, too, where it does not and the job goes on."""
    try:
        return dispatch.find_execution(job)
    except (BotoCoreError, ClientError):
        if job.status in FINAL:  # nobody knows whether it was redriven
            raise
        logger.exception("Step Functions does not answer; the job goes on as it is", job_id=job.id)
        return None
