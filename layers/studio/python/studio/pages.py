"""Pages of what is listed by a time, the latest first: each begins behind the last item of the page before."""

from datetime import UTC, datetime, timedelta
from typing import Any

Position = tuple[datetime, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_cursor(position: Position) -> str:
    """Write where a page ends.

    Parameters
    ----------
    position : (datetime, str)
        The time, to the millisecond, and the id of its last item.

    Returns
    -------
    str
        Milliseconds since 1970, a hyphen and the id.
    """
    moment, item_id = position
    return f"{(moment - _EPOCH) // timedelta(milliseconds=1)}-{item_id}"


def read_cursor(cursor: str) -> Position:
    """Read what `write_cursor` wrote.

    Parameters
    ----------
    cursor : str
        At most 14 digits, a hyphen and an id; functions check that.

    Returns
    -------
    (datetime, str)
    """
    milliseconds, _, item_id = cursor.partition("-")
    return _EPOCH + timedelta(milliseconds=int(milliseconds)), item_id


def behind(position: Position, field: str) -> dict[str, Any]:
    """Return MongoDB's condition for what comes behind a page, where the order is by a time and then by `_id`.

    Parameters
    ----------
    position : (datetime, str)
        Of the page's last item.
    field : str
        That has the time.

    Returns
    -------
    dict
    """
    moment, item_id = position
    return {"$or": [{field: {"$lt": moment}}, {field: moment, "_id": {"$lt": item_id}}]}
