"""What the cache stores, and what its API answers."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from studio.documents import Document

Kind = Literal["result", "analysis"]


class CacheEntry(Document):
    """One entry: claimed by whoever computes it, then ready.

    Attributes
    ----------
    id : str
        The cache key.
    claim : str or None
        Names who computes it; None once it is ready.
    claimed_until : datetime or None
        After this, somebody else may compute it.
    answer : dict
        What is told of it: the answer without its delivery, or the sliders that were chosen.
    result_key : str or None
        The stored pixels of a result.
    """

    id: str = Field(alias="_id")
    user_id: str
    kind: Kind
    engine_version: str
    claim: str | None = None
    claimed_until: datetime | None = None
    answer: dict[str, Any] = Field(default={})
    result_key: str | None = None
    size_bytes: int = 0
    hits: int = 0
    created_at: datetime
    used_at: datetime
    expires_at: datetime


class CacheEntryResponse(BaseModel):
    """An entry of the cache."""

    cache_key: str
    kind: Kind
    engine_version: str
    size_bytes: int
    hits: int
    created_at: datetime
    used_at: datetime = Field(description="When it was last answered from.")
    expires_at: datetime


class CacheResponse(BaseModel):
    """The caller's cache: totals, and a page of entries, the last used first."""

    entries: int
    bytes: int
    hits: int
    hit_rate: float = Field(ge=0, le=1, description="Hits among all look-ups of the entries that are there.")
    engine_version: str = Field(description="Entries of another version are not answered from any longer.")
    items: list[CacheEntryResponse]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


class PurgeCacheResponse(BaseModel):
    """What a purge has deleted."""

    entries: int
    bytes: int
    remaining: int = Field(description="Entries that there was no time for; purge again until it is 0.")
