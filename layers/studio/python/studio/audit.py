"""The audit log: one structured line a security event, in the functions' log group.

There is no collection of it: whoever may change the database could change that as well, a log line nobody can, and it
costs no write. The line has the request's id (`correlation_id`), which the access log has with the source address.
"""

from typing import Literal

from studio.observability import logger

Event = Literal[
    "user_registered",
    "registration_refused",
    "user_deleted",
    "invite_refused",
    "login_succeeded",
    "login_failed",
    "login_refused",
    "key_created",
    "key_rotated",
    "key_revoked",
    "key_deleted",
    "key_refused",
]


def record(event: Event, **facts: str | None) -> None:
    """Write a security event down.

    Parameters
    ----------
    event : str
    **facts : str or None
        Ids, addresses, reasons; no secrets, and nobody's email.
    """
    logger.info("security event", extra={"event": event, **facts}, stacklevel=3)
