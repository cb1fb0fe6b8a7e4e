"""How many requests a key may send, or an address: counted in MongoDB by one atomic update a request.

A key's windows are whole minutes. The headers are those of the IETF's draft-ietf-httpapi-ratelimit-headers.
"""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, IndexModel, WriteConcern

from studio.mongo import get_collection

_WINDOW_SECONDS = 60

INDEXES = {"requestCounts": [IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0, name="ttl")]}


@dataclass(frozen=True)
class Quota:
    """What a key has left of its minute, or an address of its window.

    Attributes
    ----------
    limit, used : int
        Requests.
    seconds_left : int
        Until the next window.
    """

    limit: int
    used: int
    seconds_left: int

    @property
    def is_exceeded(self) -> bool:
        """Whether this request is one too many."""
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """`ratelimit-policy` and `ratelimit`, as structured fields."""
        left = max(0, self.limit - self.used)
        return {
            "ratelimit-policy": f'"key";q={self.limit};w={_WINDOW_SECONDS}',
            "ratelimit": f'"key";r={left};t={self.seconds_left}',
        }


def count_request(name: str, limit: int, window_seconds: int = _WINDOW_SECONDS) -> Quota:
    """Count a request.

    Parameters
    ----------
    name : str
        Of whose it is: a key's id, or a hash of an address.
    limit : int
        Requests a window.
    window_seconds : int
        A minute where not given.

    Returns
    -------
    Quota
    """
    now = time.time()
    window = int(now // window_seconds)
    ends = (window + 1) * window_seconds
    # By one server, not journalled: a count that a crash loses does no harm, waiting for it would cost every request.
    counts = get_collection("requestCounts").with_options(write_concern=WriteConcern(w=1, j=False))
    counted: Any = counts.find_one_and_update(
        {"_id": f"{name}#{window}"},
        {"$inc": {"requests": 1}, "$setOnInsert": {"expiresAt": datetime.fromtimestamp(ends, UTC)}},
        upsert=True,
        return_document=True,
    )
    return Quota(limit, counted["requests"], math.ceil(ends - now))
