"""The cache of graded images: look-up that computes once, and what its API does.

A cache that cannot be reached costs time, never an answer: what it says is then computed.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError

from studio import storage
from studio.caller import Caller
from studio.documents import utc_now
from studio.errors import NotFoundError, UnavailableError
from studio.observability import count, logger
from studio.pages import read_cursor, write_cursor
from studio.tone_mapping import ENGINE_VERSION
from studio.tone_mapping.cache import repository
from studio.tone_mapping.cache.models import CacheEntry, CacheEntryResponse, CacheResponse, Kind, PurgeCacheResponse
from studio.tone_mapping.cache.settings import CacheSettings

_AWAY = (PyMongoError, UnavailableError, BotoCoreError, ClientError)
_POLL_SECONDS = 0.05
_PURGE_BATCH = 1000  # what S3 deletes in a call
_LONGEST_PURGE_SECONDS = 20.0  # below the function's timeout by more than a batch takes


@dataclass(frozen=True)
class Computed:
    """What an entry is made of.

    Attributes
    ----------
    answer : dict
        JSON values.
    result_key : str or None
        Of the pixels, written before.
    size_bytes : int
        Of the pixels.
    data : bytes or None
        The pixels themselves, where they were computed just now.
    timings_ms : dict
        Of the computation.
    is_kept : bool
        False where the pixels could not be stored: there is no entry of it then.
    """

    answer: dict[str, Any]
    result_key: str | None = None
    size_bytes: int = 0
    data: bytes | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    is_kept: bool = True


def make_key(kind: Kind, caller: Caller, *parts: str | bytes) -> str:
    """Name what is cached: 32 hexadecimal digits of everything that it depends on.

    Parameters
    ----------
    kind : {"result", "analysis"}
    caller : Caller
    *parts : str or bytes
        The image and the request. The engine's version is always part of it.

    Returns
    -------
    str
    """
    digest = hashlib.sha256()
    for part in (ENGINE_VERSION, kind, caller.user_id, *parts):
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))  # so that no two lists of parts run together
        digest.update(data)
    return digest.hexdigest()[:32]


def find_or_compute(caller: Caller, key: str, kind: Kind, compute: Callable[[bool], Computed]) -> tuple[Computed, bool]:
    """Answer from the cache, or compute and keep; of several callers at once, one computes and the others wait.

    Parameters
    ----------
    caller : Caller
    key : str
        Of `make_key`.
    kind : {"result", "analysis"}
    compute : callable
        Called at most once, and told whether it is kept: not while the cache is away, nor where somebody else computes
        the same for longer than `cache_wait_seconds`. What it raises is raised, and nothing is kept.

    Returns
    -------
    computed : Computed
    is_hit : bool
    """
    claim = uuid.uuid4().hex
    try:
        found = _find_or_claim(caller, key, kind, claim)
    except _AWAY:
        _log_unreachable()
        return compute(False), False
    if found == "busy":
        return compute(False), False
    if found:
        return Computed(found.answer, found.result_key, found.size_bytes), True
    try:
        computed = compute(True)
    except BaseException:
        _quietly(lambda: repository.release_entry(key, claim))
        raise
    if not computed.is_kept:
        _quietly(lambda: repository.release_entry(key, claim))
        return computed, False
    entry = _new_entry(caller, key, kind, utc_now()).model_copy(
        update={"answer": computed.answer, "result_key": computed.result_key, "size_bytes": computed.size_bytes}
    )
    _quietly(lambda: _keep(caller, entry, claim))
    return computed, False


def forget_entry(caller: Caller, key: str, result_key: str) -> None:
    """Drop an entry whose pixels are gone; one that somebody else made of it meanwhile stays.

    Parameters
    ----------
    caller : Caller
    key, result_key : str
    """
    _quietly(lambda: repository.drop_entry(key, caller.user_id, result_key))


def describe(caller: Caller, limit: int, cursor: str | None) -> CacheResponse:
    """Tell the caller's entries and their totals.

    Parameters
    ----------
    caller : Caller
    limit : int
        Size of a page, 1 to 100.
    cursor : str or None
        `next_cursor` of the page before.

    Returns
    -------
    CacheResponse
    """
    caller.require("grade")
    sums = repository.sum_entries(caller.user_id)
    found = repository.list_entries(caller.user_id, read_cursor(cursor) if cursor else None, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    looked_up = sums["hits"] + sums["entries"]
    return CacheResponse(
        **sums,
        hit_rate=sums["hits"] / looked_up if looked_up else 0.0,
        engine_version=ENGINE_VERSION,
        items=[
            CacheEntryResponse(
                cache_key=entry.id, **entry.model_dump(include=set(CacheEntryResponse.model_fields) - {"cache_key"})
            )
            for entry in found[:limit]
        ],
        next_cursor=write_cursor((last.used_at, last.id)) if last else None,
    )


def purge(caller: Caller, *, everybody: bool) -> PurgeCacheResponse:
    """Delete the caller's entries and their pixels, or everybody's, as far as there is time.

    Parameters
    ----------
    caller : Caller
    everybody : bool
        Takes the scope admin.

    Returns
    -------
    PurgeCacheResponse

    Raises
    ------
    ForbiddenError
        If the caller's key has not the scope.
    """
    caller.require("admin" if everybody else "grade")
    whose = None if everybody else caller.user_id
    deadline = time.monotonic() + _LONGEST_PURGE_SECONDS
    entries = size = 0
    while found := repository.some_entries(whose, _PURGE_BATCH):
        entries += _delete(found, whose)
        size += sum(entry.size_bytes for entry in found)
        if len(found) < _PURGE_BATCH:
            break  # who grades meanwhile does not keep the purge going
        if time.monotonic() > deadline:
            return PurgeCacheResponse(entries=entries, bytes=size, remaining=repository.count_entries(whose))
    return PurgeCacheResponse(entries=entries, bytes=size, remaining=0)


def delete_entry(caller: Caller, key: str) -> None:
    """Delete one of the caller's entries and its pixels.

    Parameters
    ----------
    caller : Caller
    key : str

    Raises
    ------
    NotFoundError
        If the caller has no such entry.
    """
    caller.require("grade")
    entry = repository.find_entry(key, caller.user_id)
    if entry is None or not _delete([entry], caller.user_id):
        raise NotFoundError(f"you have no cache entry {key[:64]}", code="CACHE_ENTRY_NOT_FOUND", field="cache_key")


def _delete(entries: Sequence[CacheEntry], user_id: str | None) -> int:
    """Delete entries and their pixels, and return how many entries there were; what fails half way can be repeated."""
    keys = [entry.id for entry in entries]
    repository.withdraw_entries(keys, user_id, utc_now())  # no hit may lead to pixels that are gone
    storage.delete_many([entry.result_key for entry in entries if entry.result_key])
    return repository.delete_entries(keys, user_id)


def _find_or_claim(caller: Caller, key: str, kind: Kind, claim: str) -> CacheEntry | Literal["busy"] | None:
    """Return the entry, waiting for whoever computes it; None where it is claimed now, "busy" after a long wait."""
    deadline = time.monotonic() + CacheSettings.load().cache_wait_seconds
    while True:
        now = utc_now()
        if found := repository.use_entry(key, now):
            return found
        until = now + timedelta(seconds=CacheSettings.load().cache_claim_seconds)
        claimed = _new_entry(caller, key, kind, now).model_copy(update={"claim": claim, "claimed_until": until})
        if repository.claim_entry(claimed, now):
            return None
        if time.monotonic() >= deadline:
            return "busy"
        time.sleep(_POLL_SECONDS)


def _new_entry(caller: Caller, key: str, kind: Kind, now: datetime) -> CacheEntry:
    return CacheEntry(
        id=key,
        user_id=caller.user_id,
        kind=kind,
        engine_version=ENGINE_VERSION,
        created_at=now,
        used_at=now,
        expires_at=now + timedelta(seconds=CacheSettings.load().cache_ttl_seconds),
    )


def _keep(caller: Caller, entry: CacheEntry, claim: str) -> None:
    if repository.complete_entry(entry, claim):
        _make_room(caller)


def _make_room(caller: Caller) -> None:
    """Forget what was not used for longest until the caller's cache is within its bounds.

    The pixels stay until the bucket's lifecycle expires them: URLs to them are out, and live longer than the entry.
    """
    settings = CacheSettings.load()
    sums = repository.sum_entries(caller.user_id)
    entries, size = sums["entries"], sums["bytes"]
    if entries <= settings.cache_max_entries and size <= settings.cache_max_bytes:
        return
    for oldest in repository.oldest_entries(caller.user_id):
        if repository.delete_entries([oldest.id], oldest.user_id):
            entries, size = entries - 1, size - oldest.size_bytes
        if entries <= settings.cache_max_entries and size <= settings.cache_max_bytes:
            break


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except _AWAY:
        _log_unreachable()


def _log_unreachable() -> None:
    logger.exception("the cache does not answer")
    count("CacheUnavailable")
