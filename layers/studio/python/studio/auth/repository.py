"""Users and keys in MongoDB; every read and write of a key is scoped to its owner in the query itself."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pymongo import ASCENDING, DESCENDING, IndexModel, timeout
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from studio.auth.models import ApiKey, DeletedUser, User
from studio.compute_tasks import repository as jobs
from studio.mongo import Record, get_collection, insert_within, run_transaction

# How long a key can still be listed that works no more.
_ENDED_KEYS_KEPT = timedelta(days=30)
_CACHED = timedelta(seconds=60)  # the authorizer's answers, by the template

INDEXES = {
    "users": [IndexModel([("email", ASCENDING)], unique=True, name="email")],
    "apiKeys": [
        IndexModel([("prefix", ASCENDING)], unique=True, name="prefix"),
        IndexModel([("userId", ASCENDING), ("_id", ASCENDING)], name="owner"),
        IndexModel(
            [("expiresAt", ASCENDING)], expireAfterSeconds=int(_ENDED_KEYS_KEPT.total_seconds()), name="expired"
        ),
        IndexModel(
            [("revokedAt", ASCENDING)], expireAfterSeconds=int(_ENDED_KEYS_KEPT.total_seconds()), name="revoked"
        ),
    ],
    "deletedUsers": [IndexModel([("sweptAt", ASCENDING)], name="next")],
}

# The documents of a user; a test holds it against every collection that there is.
OWNED: dict[str, Callable[[str], Record]] = {
    "users": lambda user_id: {"_id": user_id},
    "apiKeys": lambda user_id: {"userId": user_id},
    "toneMappingPresets": lambda user_id: {"userId": user_id},
    "toneMappingCache": lambda user_id: {"userId": user_id},
    "minimaticsProjects": lambda user_id: {"userId": user_id},
    "minimaticsProjectVersions": lambda user_id: {"userId": user_id},
    "computeTasks": lambda user_id: {"userId": user_id},
    "bulkItems": lambda user_id: {"userId": user_id},
    "idempotency": lambda user_id: {"_id": {"$gte": f"{user_id}#", "$lt": f"{user_id}$"}},  # '$' is behind '#'
    "locks": lambda user_id: {"_id": {"$gte": f"{user_id}#", "$lt": f"{user_id}$"}},
}
# Without projects and jobs nobody can ask for the first two, and there may be millions. Jobs are cancelled at once;
# what runs for them is stopped before they are deleted.
_SWEPT_LATER = {"minimaticsProjectVersions", "bulkItems", "computeTasks"}
# More than a transaction has time for, maybe: they go right behind it, and what is left of them by the sweep.
LARGE = ("minimaticsProjects", "idempotency", "toneMappingCache")


def insert_user(user: User) -> bool:
    """Store a new user; False where the email is taken.

    Parameters
    ----------
    user : User
    """
    try:
        get_collection("users").insert_one(user.to_mongo())
    except DuplicateKeyError:
        return False
    return True


def find_user(email: str) -> User | None:
    """User of an email address.

    Parameters
    ----------
    email : str
        Lower case.
    """
    found = get_collection("users").find_one({"email": email})
    return User.from_mongo(found) if found else None


def find_user_by_id(user_id: str) -> User | None:
    """User of an id.

    Parameters
    ----------
    user_id : str
    """
    found = get_collection("users").find_one({"_id": user_id})
    return User.from_mongo(found) if found else None


def delete_user(user_id: str, now: datetime) -> bool:
    """Delete a user with keys and presets in one transaction, which also records that the rest is to be deleted.

    Parameters
    ----------
    user_id : str
    now : datetime

    Returns
    -------
    bool
        False where there is no such user.
    """

    def change(session: ClientSession) -> bool:
        if get_collection("users").delete_one({"_id": user_id}, session=session).deleted_count == 0:
            return False
        jobs.cancel_jobs(user_id, now, session)
        for collection in OWNED.keys() - _SWEPT_LATER - set(LARGE):
            get_collection(collection).delete_many(OWNED[collection](user_id), session=session)
        record = DeletedUser(id=user_id, deleted_at=now, swept_at=now)
        get_collection("deletedUsers").insert_one(record.to_mongo(), session=session)
        return True

    return run_transaction(change)


def claim_deleted_user(swept_before: datetime, now: datetime) -> DeletedUser | None:
    """Take the deleted user who was not swept for longest; None where everybody was since.

    Parameters
    ----------
    swept_before, now : datetime
    """
    found = get_collection("deletedUsers").find_one_and_update(
        {"sweptAt": {"$lt": swept_before}}, {"$set": {"sweptAt": now}}, sort=[("sweptAt", ASCENDING)]
    )
    return DeletedUser.from_mongo(found) if found else None


def delete_owned(user_id: str, seconds: float, collections: Iterable[str] = OWNED) -> None:
    """Delete the documents of a deleted user; where the time is too short for all of them, to do it again goes on.

    Parameters
    ----------
    user_id : str
    seconds : float
        What it may take.
    collections : iterable of str
    """
    with timeout(seconds):
        for collection in collections:
            get_collection(collection).delete_many(OWNED[collection](user_id))


def forget_deleted_user(user_id: str) -> None:
    """Delete the record of a deletion: nothing is left.

    Parameters
    ----------
    user_id : str
    """
    get_collection("deletedUsers").delete_one({"_id": user_id})


def insert_api_key(key: ApiKey, limit: int, now: datetime) -> bool:
    """Store a new key; False where the user has so many working ones, those of logins apart.

    Parameters
    ----------
    key : ApiKey
    limit : int
    now : datetime
    """
    # One that was revoked just now may work for as long as the authorizer's answer is cached.
    not_long_revoked = {"revokedAt": {"$not": {"$lte": now - _CACHED}}}
    like = {"userId": key.user_id, "isLogin": {"$ne": True}} | _working(now) | not_long_revoked
    return insert_within(limit, key.user_id, "apiKeys", key.to_mongo(), like)


def insert_login_key(key: ApiKey, limit: int) -> list[str]:
    """Store a login's key, and delete those of logins before the last so many, or who logs in could fill the database.

    Parameters
    ----------
    key : ApiKey
    limit : int

    Returns
    -------
    list of str
        Ids of the deleted keys.
    """
    keys = get_collection("apiKeys")
    keys.insert_one(key.to_mongo())
    logins = keys.find({"userId": key.user_id, "isLogin": True}, {"_id": 1})
    if oldest := [found["_id"] for found in logins.sort("_id", DESCENDING).skip(limit)]:
        keys.delete_many({"_id": {"$in": oldest}})
    return oldest


def find_api_key(prefix: str) -> ApiKey | None:
    """Key of a prefix, whatever its state.

    Parameters
    ----------
    prefix : str
    """
    found = get_collection("apiKeys").find_one({"prefix": prefix})
    return ApiKey.from_mongo(found) if found else None


def find_working_key(key_id: str, user_id: str, now: datetime) -> ApiKey | None:
    """Find a user's key that works.

    Parameters
    ----------
    key_id, user_id : str
    now : datetime
    """
    found = get_collection("apiKeys").find_one({"_id": key_id, "userId": user_id} | _working(now))
    return ApiKey.from_mongo(found) if found else None


def list_api_keys(user_id: str, before: str | None, limit: int) -> list[ApiKey]:
    """List a user's keys, newest first.

    Parameters
    ----------
    user_id : str
    before : str or None
        Only ids below this one.
    limit : int
    """
    query: Record = {"userId": user_id} | ({"_id": {"$lt": before}} if before else {})
    found = get_collection("apiKeys").find(query).sort("_id", DESCENDING).limit(limit)
    return [ApiKey.from_mongo(document) for document in found]


def touch_api_key(key_id: str, now: datetime, not_since: datetime) -> None:
    """Record that a key was used, unless that was recorded lately.

    Parameters
    ----------
    key_id : str
    now, not_since : datetime
    """
    get_collection("apiKeys").update_one(
        {"_id": key_id, "$or": [{"lastUsedAt": None}, {"lastUsedAt": {"$lt": not_since}}]},
        {"$set": {"lastUsedAt": now}},
    )


def rotate_api_key(key: ApiKey, secret_hash: str, previous_until: datetime, now: datetime) -> bool:
    """Give a key another secret; False where it was rotated, revoked or deleted since it was read.

    Parameters
    ----------
    key : ApiKey
        As it was read.
    secret_hash : str
        Of the new secret.
    previous_until : datetime
        How long the previous secret works.
    now : datetime
    """
    changed = get_collection("apiKeys").update_one(
        {"_id": key.id, "userId": key.user_id, "secretHash": key.secret_hash} | _working(now),
        {
            "$set": {
                "secretHash": secret_hash,
                "previousSecretHash": key.secret_hash,
                "previousUntil": previous_until,
            }
        },
    )
    return changed.modified_count == 1


def revoke_api_key(key_id: str, user_id: str, now: datetime) -> bool:
    """Revoke a user's key; False where the user has no such key that is not revoked.

    Parameters
    ----------
    key_id, user_id : str
    now : datetime
    """
    changed = get_collection("apiKeys").update_one(
        {"_id": key_id, "userId": user_id, "revokedAt": None}, {"$set": {"revokedAt": now}}
    )
    return changed.modified_count == 1


def _working(now: datetime) -> Record:
    """Match keys that are neither revoked nor expired."""
    return {"revokedAt": None, "$or": [{"expiresAt": None}, {"expiresAt": {"$gt": now}}]}
