"""The entry point of a Batch job's container: runs one attempt of a job, and tells Batch by its exit code.

`JOB_ID` names the job. 0: it is complete; 64: another attempt would come to the same; 1: Batch starts another one;
143: the container was told to stop.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from pymongo.errors import PyMongoError

from studio.compute_tasks import executions, recovery
from studio.compute_tasks.models import Job, JobError
from studio.compute_tasks.worker import run_job
from studio.mongo import retry_until_up
from studio.observability import logger

COMPLETED, AGAIN, FINAL, STOPPED = 0, 1, 64, 143


def main() -> int:
    """Run an attempt of the job `JOB_ID`.

    Returns
    -------
    int
        The exit code.
    """
    job_id, job = os.environ["JOB_ID"], None
    logger.append_keys(job_id=job_id, batch_attempt=os.environ.get("AWS_BATCH_JOB_ATTEMPT"))
    with ending_on_sigterm():
        try:
            job = retry_until_up(lambda: _claim(job_id))
            status = run_job(job_id, job.attempt)
            if status is None:
                live = retry_until_up(lambda: executions.find_live(job_id))
                if live.attempt > job.attempt:  # another container has it; a next attempt of ours would take it back
                    return FINAL
                status = live.status
            if status not in ("COMPLETED", "FAILED") and is_stopping():
                return STOPPED
        except executions.JobOverError as over:
            logger.warning("nothing to do", reason=str(over))
            return COMPLETED if over.status == "COMPLETED" else FINAL
        except SystemExit:
            if job:
                _give_up(job)
            return STOPPED
    return {"COMPLETED": COMPLETED, "FAILED": FINAL}.get(status, AGAIN)


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Raise `SystemExit` where the container is told to stop; the second time nothing, for once is enough."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_stopping() -> bool:
    """Tell whether the container was told to stop: what builds a model makes an error of its own of `SystemExit`."""
    return signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def _claim(job_id: str) -> Job:
    """Return the job with an attempt that is ours to begin: where another one runs, its container is gone."""
    job = executions.find_live(job_id)
    if job.status == "QUEUED":
        return job
    lost = recovery.retry_or_fail(job, JobError(code="WORKER_LOST", message="its container was killed"), start=False)
    if lost and lost.status == "FAILED":
        raise executions.JobOverError(job_id, lost)
    return lost or executions.find_live(job_id)


def _stop(_: int, __: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(STOPPED)


def _give_up(job: Job) -> None:
    """Leave the job to another attempt; it stays as it is where it was cancelled, which is one reason to be stopped."""
    error = JobError(code="WORKER_STOPPED", message="its container was stopped")
    try:
        recovery.retry_or_fail(job, error, start=False)
    except PyMongoError:
        logger.exception("that the container was stopped could not be written")


if __name__ == "__main__":
    sys.exit(main())
