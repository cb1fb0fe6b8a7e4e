"""Failed passwords and invite codes: who fails too often has to wait, twice as long after each further failure.

Counted by user and by source address. An attempt is counted before its secret is looked at, so that many at once are no
way around; one that succeeds is taken back. Registrations are counted by address, whatever comes of them.
"""

import hashlib
import ipaddress
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from studio.auth.settings import AuthSettings
from studio.documents import utc_now
from studio.errors import StudioError, TooManyRequestsError
from studio.mongo import get_collection
from studio.quotas import count_request

# An _id is a hash: no list of who tried to log in, and from where.
INDEXES = {"loginAttempts": [IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0, name="ttl")]}

_HIGHEST_POWER = 20
_TURNS = 10  # for attempts at the same moment: of each turn's, one makes the record
_HOUR = 3600


class _Begun(NamedTuple):
    """An attempt that was counted: when its record expires, by it and before it."""

    key: str
    expires_at: datetime
    expires_at_before: datetime


@contextmanager
def attempt(address: str, email: str | None = None) -> Iterator[None]:
    """Let a secret be tried, and count it as a failure unless the block ends without an error.

    Parameters
    ----------
    address : str
        Where the request comes from.
    email : str, optional
        Of the user whose password it is, lower case; whether there is such a user makes no difference.

    Raises
    ------
    TooManyRequestsError
        If there were too many failures lately: the secret is not looked at.
    """
    settings = AuthSettings.load()
    by_user = _key("email", email) if email else None
    by_address = _begin(_key("address", _network(address)), settings.login_address_failures)
    if by_user:
        try:
            _begin(by_user, settings.login_user_failures)
        except StudioError:
            _take_back(by_address)  # nothing was tried
            raise
    yield
    if by_user:
        get_collection("loginAttempts").delete_one({"_id": by_user})
    # Just this attempt: else who has an account would log in between guesses at others.
    _take_back(by_address)


def count_registration(address: str) -> None:
    """Count a try to register.

    Parameters
    ----------
    address : str
        Where the request comes from.

    Raises
    ------
    TooManyRequestsError
        If there were as many within this hour as there may be.
    """
    limit = AuthSettings.load().registrations_per_hour
    if not limit:
        return
    quota = count_request(_key("registration", _network(address)), limit, _HOUR)
    if quota.is_exceeded:
        wait = quota.seconds_left
        message = f"there may be {limit:,} registrations an hour from one address; try again in {wait:,} s"
        raise TooManyRequestsError(message, code="REGISTRATION_LIMITED", retry_after=wait)


def _begin(key: str, free: int) -> _Begun:
    """Count one more attempt, unless it has to wait; one atomic update, so that of many at once only `free` pass."""
    settings, now = AuthSettings.load(), utc_now()
    # A field that is not there yet compares as less than any moment.
    failures = {"$cond": [{"$lte": ["$expiresAt", now]}, 1, {"$add": ["$failures", 1]}]}
    power = {"$min": [_HIGHEST_POWER, {"$subtract": ["$failures", free]}]}
    doubled = {"$multiply": [settings.login_first_wait_seconds, {"$pow": [2, power]}]}
    seconds = {"$min": [settings.login_longest_wait_seconds, doubled]}
    until = {"$cond": [{"$gte": ["$failures", free]}, {"$add": [now, {"$multiply": [1000, seconds]}]}, None]}
    expires_at = now + timedelta(seconds=settings.login_forget_seconds + settings.login_longest_wait_seconds)
    left = 0.0
    for _ in range(_TURNS):
        try:
            before = get_collection("loginAttempts").find_one_and_update(
                {"_id": key, "lockedUntil": {"$not": {"$gt": now}}},
                [{"$set": {"failures": failures, "expiresAt": expires_at}}, {"$set": {"lockedUntil": until}}],
                upsert=True,
            )
        except DuplicateKeyError:  # it is locked, or another attempt made the record at the same moment
            found = get_collection("loginAttempts").find_one({"_id": key})
            if found and found["lockedUntil"] and found["lockedUntil"] > now:
                left = (found["lockedUntil"] - now).total_seconds()
                break
        else:
            return _Begun(key, expires_at, before["expiresAt"] if before else expires_at)
    wait = max(1, math.ceil(left))
    raise TooManyRequestsError(
        f"too many failed logins; try again in {wait:,} s", code="LOGIN_LOCKED", retry_after=wait
    )


def _take_back(begun: _Begun) -> None:
    """Count an attempt no longer; failures before it are forgotten when they would have been, unless there was another.

    Else where somebody logs in each hour, no failure ever would be.
    """
    is_last = {"$eq": ["$expiresAt", begun.expires_at]}
    expires_at = {"$cond": [is_last, begun.expires_at_before, "$expiresAt"]}
    failures = {"$subtract": ["$failures", 1]}
    get_collection("loginAttempts").update_one(
        {"_id": begun.key}, [{"$set": {"failures": failures, "lockedUntil": None, "expiresAt": expires_at}}]
    )


def _key(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()


def _network(address: str) -> str:
    """Return what one customer has of addresses: of IPv6, a /64."""
    found = ipaddress.ip_address(address)
    return address if found.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
