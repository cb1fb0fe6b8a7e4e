"""The cache's index in MongoDB."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, WriteConcern
from pymongo.errors import DuplicateKeyError

from studio.mongo import get_collection
from studio.pages import Position, behind
from studio.tone_mapping.cache.models import CacheEntry

INDEXES = {
    "toneMappingCache": [
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0, name="ttl"),
        IndexModel([("userId", ASCENDING), ("usedAt", DESCENDING), ("_id", DESCENDING)], name="owner"),
    ]
}


def use_entry(key: str, now: datetime) -> CacheEntry | None:
    """Return an entry that is ready, and count the hit.

    Parameters
    ----------
    key : str
    now : datetime
    """
    # A count that is lost with its server is one hit too few: nobody waits for a majority's journals.
    entries = get_collection("toneMappingCache").with_options(write_concern=WriteConcern(w=1, j=False))
    found = entries.find_one_and_update(
        {"_id": key, "claim": None, "expiresAt": {"$gt": now}},
        {"$set": {"usedAt": now}, "$inc": {"hits": 1}},
        return_document=True,
    )
    return CacheEntry.from_mongo(found) if found else None


def claim_entry(entry: CacheEntry, now: datetime) -> bool:
    """Claim a key; False where somebody else's claim has not run out, or the entry is ready.

    Parameters
    ----------
    entry : CacheEntry
        With its claim.
    now : datetime
    """
    try:
        get_collection("toneMappingCache").find_one_and_replace(
            {
                "_id": entry.id,
                "$or": [{"claim": {"$ne": None}, "claimedUntil": {"$lt": now}}, {"expiresAt": {"$lte": now}}],
            },
            {name: value for name, value in entry.to_mongo().items() if name != "_id"},
            upsert=True,
        )
    except DuplicateKeyError:
        return False
    return True


def complete_entry(entry: CacheEntry, claim: str) -> bool:
    """Make a claimed entry ready; False where the claim was lost meanwhile.

    Parameters
    ----------
    entry : CacheEntry
        Without a claim.
    claim : str
    """
    changed = get_collection("toneMappingCache").replace_one({"_id": entry.id, "claim": claim}, entry.to_mongo())
    return changed.modified_count == 1


def release_entry(key: str, claim: str) -> None:
    """Give a claim up, so that the next caller does not wait for it.

    Parameters
    ----------
    key, claim : str
    """
    get_collection("toneMappingCache").delete_one({"_id": key, "claim": claim})


def sum_entries(user_id: str) -> dict[str, int]:
    """Count a user's entries, their bytes and hits.

    Parameters
    ----------
    user_id : str

    Returns
    -------
    dict of str to int
        ``entries bytes hits``.
    """
    sums = get_collection("toneMappingCache").aggregate(
        [
            {"$match": {"userId": user_id, "claim": None}},
            {
                "$group": {
                    "_id": None,
                    "entries": {"$sum": 1},
                    "bytes": {"$sum": "$sizeBytes"},
                    "hits": {"$sum": "$hits"},
                }
            },
        ]
    )
    found: dict[str, int] = next(iter(sums), {"entries": 0, "bytes": 0, "hits": 0})
    return {name: found[name] for name in ("entries", "bytes", "hits")}


def list_entries(user_id: str, before: Position | None, limit: int) -> list[CacheEntry]:
    """List a user's entries, the last used first.

    Parameters
    ----------
    user_id : str
    before : (datetime, str) or None
        Only what comes after the entry that was used then and has this key.
    limit : int
    """
    query = {"userId": user_id, "claim": None} | (behind(before, "usedAt") if before else {})
    ordered = get_collection("toneMappingCache").find(query).sort([("usedAt", DESCENDING), ("_id", DESCENDING)])
    return [CacheEntry.from_mongo(document) for document in ordered.limit(limit)]


def oldest_entries(user_id: str) -> Iterator[CacheEntry]:
    """Walk through a user's entries, those that were not used for longest first.

    Parameters
    ----------
    user_id : str
    """
    found = get_collection("toneMappingCache").find({"userId": user_id, "claim": None})
    for document in found.sort([("usedAt", ASCENDING), ("_id", ASCENDING)]):
        yield CacheEntry.from_mongo(document)


def some_entries(user_id: str | None, limit: int) -> list[CacheEntry]:
    """Return some of the entries of a user, or of everybody, claimed ones too.

    Parameters
    ----------
    user_id : str or None
    limit : int
    """
    found = get_collection("toneMappingCache").find(_whose(user_id)).limit(limit)
    return [CacheEntry.from_mongo(document) for document in found]


def count_entries(user_id: str | None) -> int:
    """Count the entries of a user, or of everybody, claimed ones too.

    Parameters
    ----------
    user_id : str or None
    """
    return get_collection("toneMappingCache").count_documents(_whose(user_id))


def withdraw_entries(keys: Sequence[str], user_id: str | None, now: datetime) -> None:
    """Let no look-up find these entries of a user, or of anybody, any more: claimed, by a claim that has run out.

    Parameters
    ----------
    keys : sequence of str
    user_id : str or None
    now : datetime
    """
    withdrawn = {"claim": "withdrawn", "claimedUntil": now}
    get_collection("toneMappingCache").update_many({"_id": {"$in": list(keys)}, **_whose(user_id)}, {"$set": withdrawn})


def delete_entries(keys: Sequence[str], user_id: str | None) -> int:
    """Delete entries of a user, or of anybody, and return how many there were.

    Parameters
    ----------
    keys : sequence of str
    user_id : str or None
    """
    deleted = get_collection("toneMappingCache").delete_many({"_id": {"$in": list(keys)}, **_whose(user_id)})
    return deleted.deleted_count


def find_entry(key: str, user_id: str) -> CacheEntry | None:
    """Return a user's entry, claimed or not.

    Parameters
    ----------
    key, user_id : str
    """
    found = get_collection("toneMappingCache").find_one({"_id": key, "userId": user_id})
    return CacheEntry.from_mongo(found) if found else None


def drop_entry(key: str, user_id: str, result_key: str) -> None:
    """Delete a user's entry, if it is still the one of these pixels.

    Parameters
    ----------
    key, user_id, result_key : str
    """
    get_collection("toneMappingCache").delete_one({"_id": key, "userId": user_id, "resultKey": result_key})


def _whose(user_id: str | None) -> dict[str, Any]:
    return {} if user_id is None else {"userId": user_id}
