"""Telling who asked for it that a job is over: what is signed and how, and the queue in front of the delivery.

A job carries what it has to tell until the queue has taken it, so that a queue that fails fails no job and loses
nothing: the clean-up sends it again.
"""

import base64
import hmac
import json
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError

from studio.caller import Caller
from studio.compute_tasks import repository
from studio.compute_tasks.models import CallbackSecretResponse, Job
from studio.compute_tasks.settings import CallbackSettings, ComputeTaskSettings
from studio.documents import utc_now
from studio.errors import UnavailableError
from studio.fetch import HTTPS, IPAddress, check_url, is_public
from studio.observability import count, logger, measure_seconds, tracer
from studio.settings import get_secret

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_SENT_AT_ONCE = 200


class Guard(TypedDict):
    """Where callbacks may go."""

    is_allowed: Callable[[IPAddress], bool]
    schemes: Collection[str]


@cache
def get_queue() -> "SQSClient":
    """Return the client of the queue."""
    tracer.patch(["botocore"])
    return boto3.client("sqs", config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2}))


def get_guard() -> Guard:
    """Return where callbacks may go in this deployment."""
    if CallbackSettings.load().callback_private_allowed:
        return {"is_allowed": lambda _: True, "schemes": (*HTTPS, "http")}
    return {"is_allowed": is_public, "schemes": HTTPS}


def check(url: str | None) -> None:
    """Refuse a callback URL before its job is begun; where it leads is looked up again on delivery.

    Parameters
    ----------
    url : str or None
        None is no callback.

    Raises
    ------
    InvalidFieldError
        If it is not https, or does not lead to a public address.
    UnavailableError
        If callbacks are not configured.
    """
    if url is None:
        return
    settings = CallbackSettings.load()
    if not (settings.callback_secret or settings.callback_secret_arn):
        raise _unconfigured()
    check_url(url, "callback_url", **get_guard())


def announce(job: Job | None) -> Job | None:
    """Count a job that has just ended, and hand its callback to the queue; it never fails.

    Parameters
    ----------
    job : Job or None
        What the change into a final state returned; None where it was not made.

    Returns
    -------
    Job or None
        The same.
    """
    if job is None:
        return None
    count(f"Job{job.status.capitalize()}", task_type=job.task_type)
    if job.error and job.error.status >= 500:
        count_fault()
    started, finished = job.started_at or job.finished_at, job.finished_at
    if started and finished:
        measure_seconds("JobQueueSeconds", (started - job.queued_at).total_seconds(), task_type=job.task_type)
        measure_seconds("JobRunSeconds", (finished - started).total_seconds(), task_type=job.task_type)
    if job.callback:
        _send(job)
    return job


def count_fault() -> None:
    """Count a job that came to no good by no mistake of its user's: an alarm watches this."""
    count("JobFault", stage=ComputeTaskSettings.load().stage)


def announce_untold() -> int:
    """Hand callbacks of jobs that are over to the queue which did not take them before.

    Returns
    -------
    int
        How many it took.
    """
    before = utc_now() - timedelta(seconds=CallbackSettings.load().callback_stale_seconds)
    told = 0
    for job in repository.find_untold(before, _SENT_AT_ONCE):
        if not _send(job):
            break
        told += 1
    return told


def show_secret(caller: Caller) -> CallbackSecretResponse:
    """Tell a caller what their callbacks are signed with.

    Parameters
    ----------
    caller : Caller

    Returns
    -------
    CallbackSecretResponse

    Raises
    ------
    ForbiddenError
        If the caller's key may start no job.
    UnavailableError
        If callbacks are not configured.
    """
    caller.require("grade", "export")
    return CallbackSecretResponse(secret=derive_secret(caller.user_id))


def derive_secret(user_id: str) -> str:
    """Return the secret of one user, which tells nothing of the deployment's or of another user's.

    Parameters
    ----------
    user_id : str

    Returns
    -------
    str
        ``whsec_`` and 32 bytes in base64.

    Raises
    ------
    UnavailableError
        If callbacks are not configured.
    """
    settings = CallbackSettings.load()
    key = settings.callback_secret or (settings.callback_secret_arn and get_secret(settings.callback_secret_arn))
    if not key:
        raise _unconfigured()
    derived = hmac.digest(key.encode(), f"webhook:{user_id}".encode(), "sha256")
    return f"whsec_{base64.b64encode(derived).decode()}"


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Sign a callback.

    Parameters
    ----------
    secret : str
    timestamp : int
        Seconds since 1970.
    body : bytes

    Returns
    -------
    str
        ``t=<timestamp>,v1=<HMAC-SHA256 of "<timestamp>.<body>" in hexadecimal>``, as Stripe's webhooks have it.
    """
    signature = hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, "sha256")
    return f"t={timestamp},v1={signature.hex()}"


def _send(job: Job) -> bool:
    url = CallbackSettings.load().callback_queue_url
    if not url:
        logger.error("no queue is configured: CALLBACK_QUEUE_URL", job_id=job.id)
        return False
    message = json.dumps({"job_id": job.id, "attempt": job.attempt})
    try:
        get_queue().send_message(QueueUrl=url, MessageBody=message)
        repository.queue_callback(job.id, job.attempt)
    except (BotoCoreError, ClientError, PyMongoError) as error:
        logger.warning("a callback waits for the clean-up", job_id=job.id, reason=str(error))
        count("CallbackUnsent")
        return False
    return True


def _unconfigured() -> UnavailableError:
    return UnavailableError("callbacks are not configured: set CALLBACK_SECRET_ARN")
