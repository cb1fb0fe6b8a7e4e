"""Users and keys in MongoDB; every read and write of a key is scoped to its owner in the query itself."""

from datetime import datetime

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from studio.auth.models import ApiKey, User
from studio.mongo import get_collection

INDEXES = {
    "users": [IndexModel([("email", ASCENDING)], unique=True, name="email")],
    "apiKeys": [
        IndexModel([("prefix", ASCENDING)], unique=True, name="prefix"),
        IndexModel([("userId", ASCENDING), ("_id", ASCENDING)], name="owner"),
    ],
}


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


def insert_api_key(key: ApiKey) -> None:
    """Store a new key.

    Parameters
    ----------
    key : ApiKey
    """
    get_collection("apiKeys").insert_one(key.to_mongo())


def find_api_key(prefix: str) -> ApiKey | None:
    """Key of a prefix, whatever its state.

    Parameters
    ----------
    prefix : str
    """
    found = get_collection("apiKeys").find_one({"prefix": prefix})
    return ApiKey.from_mongo(found) if found else None


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
