"""Presets in MongoDB; every query is scoped to the owner."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel

from studio.mongo import get_collection, insert_within
from studio.tone_mapping.presets.models import Preset

INDEXES = {"toneMappingPresets": [IndexModel([("userId", ASCENDING), ("_id", ASCENDING)], name="owner")]}


def insert_preset(preset: Preset, limit: int) -> bool:
    """Store a new preset; False where its user has as many as allowed.

    Parameters
    ----------
    preset : Preset
    limit : int
    """
    like = {"userId": preset.user_id}
    return insert_within(limit, preset.user_id, "toneMappingPresets", preset.to_mongo(), like)


def find_preset(preset_id: str, user_id: str) -> Preset | None:
    """Find a user's preset.

    Parameters
    ----------
    preset_id, user_id : str
    """
    found = get_collection("toneMappingPresets").find_one({"_id": preset_id, "userId": user_id})
    return Preset.from_mongo(found) if found else None


def find_existing(preset_ids: Iterable[str], user_id: str) -> set[str]:
    """Tell which presets a user has.

    Parameters
    ----------
    preset_ids : iterable of str
    user_id : str
    """
    query = {"_id": {"$in": list(preset_ids)}, "userId": user_id}
    return {found["_id"] for found in get_collection("toneMappingPresets").find(query, {"_id": True})}


def list_presets(user_id: str, after: str, limit: int) -> list[Preset]:
    """List a user's presets, oldest first.

    Parameters
    ----------
    user_id : str
    after : str
        Only ids behind this one.
    limit : int
    """
    found = get_collection("toneMappingPresets").find({"userId": user_id, "_id": {"$gt": after}})
    return [Preset.from_mongo(document) for document in found.sort("_id", ASCENDING).limit(limit)]


def update_preset(preset_id: str, user_id: str, changes: dict[str, Any], now: datetime) -> Preset | None:
    """Change a user's preset; None where the user has no such preset.

    Parameters
    ----------
    preset_id, user_id : str
    changes : dict
        By the names that MongoDB has.
    now : datetime
    """
    found = get_collection("toneMappingPresets").find_one_and_update(
        {"_id": preset_id, "userId": user_id}, {"$set": {**changes, "updatedAt": now}}, return_document=True
    )
    return Preset.from_mongo(found) if found else None


def delete_preset(preset_id: str, user_id: str) -> Preset | None:
    """Delete a user's preset and return what it was; None where the user has no such preset.

    Parameters
    ----------
    preset_id, user_id : str
    """
    found = get_collection("toneMappingPresets").find_one_and_delete({"_id": preset_id, "userId": user_id})
    return Preset.from_mongo(found) if found else None
