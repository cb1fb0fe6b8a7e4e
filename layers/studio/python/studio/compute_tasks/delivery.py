"""Delivering callbacks: one POST a try, and more time between the tries of a receiver that does not take it."""

import time
from collections.abc import Mapping
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from studio.compute_tasks import callbacks, repository
from studio.compute_tasks.models import FINAL, Callback, Job
from studio.compute_tasks.service import to_response
from studio.compute_tasks.settings import CallbackSettings
from studio.documents import utc_now
from studio.errors import InvalidFieldError
from studio.fetch import post
from studio.observability import count, logger

_GONE = 410


class UndeliveredError(Exception):
    """The receiver did not take a callback: its message goes back to the queue."""


def deliver(message: Mapping[str, Any], tries: int, receipt_handle: str) -> None:
    """Deliver the callback that a message of the queue asks for.

    Parameters
    ----------
    message : mapping
        With ``job_id`` and ``attempt``.
    tries : int
        How often the message was received, this time included.
    receipt_handle : str

    Raises
    ------
    UndeliveredError
        If the receiver did not take it; the message is due again after `retry_delay`.
    """
    job_id, attempt = message["job_id"], message["attempt"]
    job = repository.find_job(job_id)
    if job is None or job.attempt != attempt or job.status not in FINAL or job.callback is None:
        logger.info("nothing to tell: the job is gone, or goes on", job_id=job_id, attempt=attempt)
        return
    if job.callback.status in ("DELIVERED", "REFUSED"):
        return
    is_last = tries >= CallbackSettings.load().callback_attempts
    try:
        outcome = _try(job, job.callback, is_last=is_last)
    except Exception:  # of ours, such as a secret that cannot be read
        status: Literal["FAILED", "QUEUED"] = "FAILED" if is_last else "QUEUED"
        told = {"status": status, "tries": job.callback.tries + 1, "error": "something went wrong on our side"}
        repository.record_callback(job_id, attempt, job.callback.model_copy(update=told))
        _postpone(receipt_handle, retry_delay(tries))
        raise
    repository.record_callback(job_id, attempt, outcome)
    if outcome.status in ("QUEUED", "FAILED"):
        count("CallbackFailed" if outcome.status == "FAILED" else "CallbackRetried")
        logger.info("a callback was not taken", job_id=job_id, tries=tries, reason=outcome.error)
        _postpone(receipt_handle, retry_delay(tries))
        raise UndeliveredError(outcome.error)


def retry_delay(tries: int) -> int:
    """Return how many seconds a message rests after so many tries; after the last it is moved away at once.

    Parameters
    ----------
    tries : int
        At least 1.
    """
    settings = CallbackSettings.load()
    if tries >= settings.callback_attempts:
        return 0
    return int(min(settings.callback_retry_seconds * 2 ** (tries - 1), settings.callback_retry_max_seconds))


def _try(job: Job, callback: Callback, *, is_last: bool) -> Callback:
    """Post once, and return how that went."""
    body = to_response(job).model_dump_json(exclude={"callback"}).encode()
    headers = {
        "content-type": "application/json",
        "user-agent": "Studio",
        # The same for every try, so that a receiver knows one that it has had.
        "studio-delivery": f"{job.id}:{job.attempt}",
        "studio-signature": callbacks.sign(callbacks.derive_secret(job.user_id), int(time.time()), body),
    }
    seconds = CallbackSettings.load().callback_timeout_seconds
    tried = callback.model_copy(update={"tries": callback.tries + 1, "error": None})
    try:
        status = post(callback.url, body, headers, "callback_url", max_seconds=seconds, **callbacks.get_guard())
    except InvalidFieldError as error:
        why = error.message
    else:
        if 200 <= status < 300:
            return tried.model_copy(update={"status": "DELIVERED", "delivered_at": utc_now()})
        why = f"the receiver answered {status}"
        if status == _GONE:
            return tried.model_copy(update={"status": "REFUSED", "error": why})
    return tried.model_copy(update={"status": "FAILED" if is_last else "QUEUED", "error": why})


def _postpone(receipt_handle: str, seconds: int) -> None:
    try:
        callbacks.get_queue().change_message_visibility(
            QueueUrl=CallbackSettings.load().callback_queue_url or "",
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )
    except (BotoCoreError, ClientError) as error:  # it comes back after the queue's own time then
        logger.warning("a callback could not be postponed", reason=str(error))
