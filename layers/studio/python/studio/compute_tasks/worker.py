"""What runs a job, in the worker Lambda and in a Batch container alike."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from studio.compute_tasks import callbacks, recovery, repository
from studio.compute_tasks.models import Job, JobError, Status
from studio.compute_tasks.registry import TASKS, Reporter
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.documents import utc_now
from studio.errors import StudioError, unavailable_dependency
from studio.mongo import retry_until_up
from studio.observability import logger

_AGAIN_SECONDS = 5.0  # longer than a task takes to clean up


class JobTakenError(Exception):
    """The job was cancelled, or another attempt has it."""


class TimedOutError(Exception):
    """The attempt has had all the time of its task."""


def run_job(job_id: str, attempt: int) -> Status | None:
    """Run an attempt of a job; it must be called in the main thread, for signals interrupt it.

    Parameters
    ----------
    job_id : str
    attempt : int

    Returns
    -------
    str or None
        What the job came to by this attempt; None where it was not or no longer this attempt's.
    """
    job = retry_until_up(lambda: repository.start_job(job_id, attempt, utc_now()))
    if job is None:
        logger.info("nothing to do: the job is over, or another attempt has it", job_id=job_id, attempt=attempt)
        return None
    task = TASKS.get(job.task_type)
    if task is None:
        return _end(job, JobError(code="UNKNOWN_TASK", message=f"there is no task {job.task_type}"))
    report = Reporter(job.id)

    def touch() -> bool:
        return repository.touch_job(job_id, attempt, report.progress.to_mongo(), utc_now())

    try:
        with pulse(touch, task.timeout_seconds):
            answer = task.run(job.caller, job.payload, report).model_dump(mode="json")
    except JobTakenError:
        logger.info("the job was taken from this attempt", job_id=job_id, attempt=attempt)
        return None
    except TimedOutError:
        message = f"it took longer than {task.timeout_seconds:g} s"
        return _end(job, JobError(code="TASK_TIMED_OUT", message=message, status=504))
    except StudioError as error:
        field = error.details[0].field if error.details else None
        told = JobError(code=error.code, message=error.message, status=int(error.status), field=field)
        return _retry_or_fail(job, told) if error.status >= 500 else _end(job, told)
    except Exception as error:
        logger.exception("a task failed", job_id=job_id, attempt=attempt)
        told = explain_failure(error)
        return _wait_or_fail(job, told) if told.code == "UNAVAILABLE" else _retry_or_fail(job, told)
    done = callbacks.announce(retry_until_up(lambda: repository.complete_job(job_id, attempt, answer, utc_now())))
    return done.status if done else None


def explain_failure(error: Exception) -> JobError:
    """Tell what of an unexpected error a job may say, wherever it runs.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    JobError
        UNAVAILABLE where it says that something is down, else INTERNAL_ERROR.
    """
    if dependency := unavailable_dependency(error):
        return JobError(code="UNAVAILABLE", message=f"{dependency} does not answer", status=503)
    return JobError(code="INTERNAL_ERROR", message="something went wrong on our side")


def _end(job: Job, error: JobError) -> Status | None:
    """Fail for good: another attempt would come to the same."""
    failed = callbacks.announce(retry_until_up(lambda: repository.fail_job(job.id, job.attempt, error, utc_now())))
    return failed.status if failed else None


def _retry_or_fail(job: Job, error: JobError) -> Status | None:
    return _requeue(job, error, start=job.target == "LAMBDA")


def _wait_or_fail(job: Job, error: JobError) -> Status | None:
    """Give the next attempt at once for what lasts a moment; the clean-up starts those behind it, minutes later."""
    is_first = job.attempt - job.spent_attempts == 1
    return _requeue(job, error, start=is_first and job.target == "LAMBDA")


def _requeue(job: Job, error: JobError, *, start: bool) -> Status | None:
    left = retry_until_up(lambda: recovery.retry_or_fail(job, error, start=start))
    return left.status if left else None


@contextmanager
def pulse(touch: Callable[[], bool], timeout_seconds: float) -> Iterator[None]:
    """Keep a job alive while its task runs: one thread writes heartbeat and progress, throttled to the heartbeat.

    A job that was taken away, and a task that takes too long, interrupt the main thread by a signal: numpy and OpenCV
    come back to Python between their calls. They are told again until the task has ended, for Python drops what is
    raised in a destructor or in a callback of its garbage collector.

    Parameters
    ----------
    touch : callable
        Writes them; returns whether the job is still the worker's.
    timeout_seconds : float
        What the task may take.

    Raises
    ------
    JobTakenError, TimedOutError
        In the main thread, which must be the one that calls this.
    """
    beat = threading.Event()
    seconds = ComputeTaskSettings.load().heartbeat_seconds

    def keep_alive() -> None:
        while not beat.wait(seconds):
            try:
                owned = touch()
            except Exception:  # whatever it is, the next one may be written; without any, the job counts as lost
                logger.warning("a heartbeat could not be written", exc_info=True)
                continue
            if not owned:
                break
        while not beat.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            beat.wait(_AGAIN_SECONDS)

    over = False
    thread = threading.Thread(target=keep_alive, name="pulse", daemon=True)
    with _raising(signal.SIGUSR1, JobTakenError, lambda: over), _raising(signal.SIGALRM, TimedOutError, lambda: over):
        try:
            signal.setitimer(signal.ITIMER_REAL, timeout_seconds, _AGAIN_SECONDS)
            thread.start()
            yield
        finally:
            over = True  # first, and no call, in which signals are answered: none skips anything of the rest
            beat.set()
            signal.setitimer(signal.ITIMER_REAL, 0)
            if thread.is_alive():  # it is not where its start was interrupted, and ends by itself then
                thread.join()


@contextmanager
def _raising(number: signal.Signals, error: type[Exception], is_over: Callable[[], bool]) -> Iterator[None]:
    """Raise an error where a signal comes, until it is over."""

    def interrupt(_: int, __: FrameType | None) -> None:
        if not is_over():
            raise error

    before: Any = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)
