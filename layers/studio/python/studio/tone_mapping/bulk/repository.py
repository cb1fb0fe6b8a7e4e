"""The images of bulk jobs in MongoDB: each is recorded once."""

from collections.abc import Iterator
from datetime import datetime

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from studio.mongo import get_collection
from studio.tone_mapping.bulk.models import BulkItem

INDEXES = {
    "bulkItems": [
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0, name="ttl"),
        IndexModel([("userId", ASCENDING)], name="owner"),
    ]
}


def item_id(job_id: str, index: int) -> str:
    """Return the id of an item's record.

    Parameters
    ----------
    job_id : str
    index : int
    """
    return f"{job_id}:{index}"


def has_item(job_id: str, index: int) -> bool:
    """Return whether an item is recorded.

    Parameters
    ----------
    job_id : str
    index : int
    """
    return get_collection("bulkItems").find_one({"_id": item_id(job_id, index)}, {"_id": 1}) is not None


def insert_item(item: BulkItem) -> bool:
    """Record an item; False where it was recorded before, which stays as it is.

    Parameters
    ----------
    item : BulkItem
    """
    document = item.to_mongo()
    try:
        done = get_collection("bulkItems").update_one({"_id": item.id}, {"$setOnInsert": document}, upsert=True)
    except DuplicateKeyError:  # of two at once, one wins
        return False
    return done.upserted_id is not None


def find_items(job_id: str) -> Iterator[BulkItem]:
    """Find the items of a job that are recorded, in no order.

    Parameters
    ----------
    job_id : str
    """
    # ';' is the character behind ':'.
    for found in get_collection("bulkItems").find({"_id": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}):
        yield BulkItem.from_mongo(found)


def count_item(job_id: str, total: int, now: datetime) -> None:
    """Count one more item of a running job as done, which is its progress and a sign of life.

    Parameters
    ----------
    job_id : str
    total : int
    now : datetime
    """
    left = {"$divide": [{"$multiply": [{"$subtract": [now, "$startedAt"]}, {"$subtract": [total, "$done"]}]}, "$done"]}
    progress = {
        "percent": {"$min": [100, {"$divide": [{"$multiply": [100, "$done"]}, total]}]},
        "stage": {"$concat": [{"$toString": "$done"}, f" of {total}"]},
        "etaSeconds": {"$max": [0, {"$divide": [left, 1000]}]},
    }
    # Not journalled: a count that a crash loses does no harm, and each image would wait for it.
    jobs = get_collection("computeTasks").with_options(write_concern=WriteConcern(w=1, j=False))
    # One pipeline, so that count and progress never disagree.
    jobs.update_one(
        {"_id": job_id, "status": "PROCESSING"},
        [
            {"$set": {"done": {"$add": [{"$ifNull": ["$done", 0]}, 1]}, "heartbeatAt": now}},
            {"$set": {"progress": progress}},
        ],
    )
