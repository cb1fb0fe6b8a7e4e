"""Jobs in MongoDB: every change of state is one guarded update, so that two workers never both own a job."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from studio.compute_tasks.models import Callback, Job, JobError
from studio.mongo import Record, get_collection, insert_within
from studio.pages import Position, behind

INDEXES = {
    "computeTasks": [
        IndexModel([("userId", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)], name="newest"),
        IndexModel([("userId", ASCENDING), ("status", ASCENDING)], name="running"),
        IndexModel([("status", ASCENDING), ("heartbeatAt", ASCENDING)], name="stale"),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0, name="ttl"),
        IndexModel(
            [("callback.status", ASCENDING), ("finishedAt", ASCENDING)],
            partialFilterExpression={"callback.status": "PENDING"},
            name="untold",
        ),
    ]
}

_NOT_OVER = {"$in": ["QUEUED", "PROCESSING"]}


def insert_job(job: Job, limit: int = 0) -> bool:
    """Store a new job; False where there is one of its id already, or its user has as many that are not over.

    Parameters
    ----------
    job : Job
    limit : int
        0 for none.
    """
    try:
        if limit:
            like = {"userId": job.user_id, "status": _NOT_OVER}
            return insert_within(limit, job.user_id, "computeTasks", job.to_mongo(), like)
        get_collection("computeTasks").insert_one(job.to_mongo())
    except DuplicateKeyError:
        return False
    return True


def find_job(job_id: str, user_id: str | None = None) -> Job | None:
    """Find a job, of one user or anybody's.

    Parameters
    ----------
    job_id : str
    user_id : str or None
    """
    whose = {} if user_id is None else {"userId": user_id}
    found = get_collection("computeTasks").find_one({"_id": job_id, **whose})
    return Job.from_mongo(found) if found else None


def list_jobs(user_id: str, before: Position | None, limit: int, filters: dict[str, Any]) -> list[Job]:
    """List a user's jobs without payloads and results, newest first.

    Parameters
    ----------
    user_id : str
    before : (datetime, str) or None
        Only what comes after the job that was created then and has this id. Ids alone do not tell: an execution that
        is started by hand names its job.
    limit : int
    filters : dict
        Values of fields, or conditions on them, by the names that MongoDB has.
    """
    query: dict[str, Any] = {"userId": user_id, **filters}
    if before:
        query |= behind(before, "createdAt")
    found = get_collection("computeTasks").find(query, {"payload": 0, "result": 0})
    newest = found.sort([("createdAt", DESCENDING), ("_id", DESCENDING)]).limit(limit)
    return [Job.from_mongo({"payload": {}, **document}) for document in newest]


def start_job(job_id: str, attempt: int, now: datetime) -> Job | None:
    """Begin an attempt: QUEUED to PROCESSING; None where another worker has it, or it is over.

    Parameters
    ----------
    job_id : str
    attempt : int
    now : datetime
    """
    return _change(
        {"_id": job_id, "attempt": attempt, "status": "QUEUED"},
        {"status": "PROCESSING", "startedAt": now, "heartbeatAt": now},
    )


def touch_job(job_id: str, attempt: int, progress: dict[str, Any], now: datetime) -> bool:
    """Record a sign of life and the progress; False where the attempt no longer owns the job.

    Parameters
    ----------
    job_id : str
    attempt : int
    progress : dict
        As MongoDB has it.
    now : datetime
    """
    changed = get_collection("computeTasks").update_one(
        {"_id": job_id, "attempt": attempt, "status": "PROCESSING"},
        {"$set": {"heartbeatAt": now, "progress": progress}},
    )
    return changed.matched_count == 1


def complete_job(job_id: str, attempt: int, result: dict[str, Any], now: datetime) -> Job | None:
    """End an attempt well: PROCESSING to COMPLETED; None where the attempt no longer owns the job.

    Parameters
    ----------
    job_id : str
    attempt : int
    result : dict
    now : datetime
    """
    return _change(
        {"_id": job_id, "attempt": attempt, "status": "PROCESSING"},
        {
            "status": "COMPLETED",
            "result": result,
            "progress": {"percent": 100, "stage": "done", "etaSeconds": 0},
            "finishedAt": now,
        },
    )


def fail_job(
    job_id: str, attempt: int, error: JobError, now: datetime, silent_since: Record | None = None
) -> Job | None:
    """End an attempt badly and the job with it: to FAILED, unless it is over or another attempt has begun.

    Parameters
    ----------
    job_id : str
    attempt : int
    error : JobError
    now : datetime
    silent_since : dict, optional
        Of `silence`: not if the job has given a sign of life since.
    """
    return _change(
        {"_id": job_id, "attempt": attempt, "status": _NOT_OVER, **(silent_since or {})},
        {"status": "FAILED", "error": error.to_mongo(), "finishedAt": now},
    )


def silence(job: Job) -> Record:
    """Return what of a job changes as soon as its worker gives a sign of life, for a guard.

    Parameters
    ----------
    job : Job
        As it was read.
    """
    return {"status": job.status, "heartbeatAt": job.heartbeat_at}


def requeue_job(job_id: str, attempt: int, now: datetime, silent_since: Record | None = None) -> Job | None:
    """Take a job from an attempt that was lost: back to QUEUED, for attempt + 1.

    Parameters
    ----------
    job_id : str
    attempt : int
    now : datetime
    silent_since : dict, optional
        Of `silence`: not if the job has given a sign of life since.
    """
    found = get_collection("computeTasks").find_one_and_update(
        {"_id": job_id, "attempt": attempt, "status": _NOT_OVER, **(silent_since or {})},
        {
            "$set": {"status": "QUEUED", "queuedAt": now, "heartbeatAt": None, "startedAt": None},
            "$inc": {"attempt": 1},
        },
        return_document=True,
    )
    return Job.from_mongo(found) if found else None


def cancel_job(job_id: str, user_id: str, now: datetime) -> Job | None:
    """Cancel a user's job; None where the user has no such job that is not over.

    Parameters
    ----------
    job_id, user_id : str
    now : datetime
    """
    return _change(
        {"_id": job_id, "userId": user_id, "status": _NOT_OVER},
        {"status": "CANCELLED", "finishedAt": now},
    )


def cancel_jobs(user_id: str, now: datetime, session: ClientSession | None = None) -> None:
    """Cancel every job of a user that is not over, and tell nobody.

    Parameters
    ----------
    user_id : str
    now : datetime
    session : ClientSession, optional
        Of a transaction.
    """
    get_collection("computeTasks").update_many(
        {"userId": user_id, "status": _NOT_OVER},
        {"$set": {"status": "CANCELLED", "finishedAt": now, "callback": None}},
        session=session,
    )


def find_executions(user_id: str, finished_after: datetime) -> Iterator[Job]:
    """Find a user's cancelled jobs whose executions may still run, without payloads and results.

    Parameters
    ----------
    user_id : str
    finished_after : datetime
    """
    found = get_collection("computeTasks").find(
        {
            "userId": user_id,
            "status": "CANCELLED",
            "finishedAt": {"$gte": finished_after},
            "executionArn": {"$ne": None},
        },
        {"payload": 0, "result": 0},
    )
    for document in found:
        yield Job.from_mongo({"payload": {}, **document})


def delete_job(job_id: str, user_id: str) -> None:
    """Delete a user's job.

    Parameters
    ----------
    job_id, user_id : str
    """
    get_collection("computeTasks").delete_one({"_id": job_id, "userId": user_id})


def end_job(
    job_id: str, status: Literal["FAILED", "CANCELLED"], error: JobError, redrives: int, now: datetime
) -> Job | None:
    """End a job as its execution has ended, whichever attempt has it; None where it is over, or redriven since.

    Parameters
    ----------
    job_id : str
    status : {"FAILED", "CANCELLED"}
    error : JobError
    redrives : int
        Of the execution, when it ended.
    now : datetime
    """
    return _change(
        {"_id": job_id, "status": _NOT_OVER, "redrives": {"$lte": redrives}},
        {"status": status, "error": error.to_mongo(), "finishedAt": now},
    )


def reopen_job(job_id: str, redrives: int, now: datetime) -> Job | None:
    """Follow a redrive of a job's execution, the one way out of a final state: to QUEUED, for attempt + 1.

    A job that is not over follows, too: its execution's end may not have been told yet, and must not count any more.

    Parameters
    ----------
    job_id : str
    redrives : int
        Of the execution, with this one.
    now : datetime

    Returns
    -------
    Job or None
        None where the redrive was followed before, or the job is complete.
    """
    untold = Callback(url="").to_mongo()
    found = get_collection("computeTasks").find_one_and_update(
        {"_id": job_id, "status": {"$ne": "COMPLETED"}, "redrives": {"$lt": redrives}},
        [
            {
                "$set": {
                    "status": "QUEUED",
                    "queuedAt": now,
                    "startedAt": None,
                    "heartbeatAt": None,
                    "finishedAt": None,
                    "error": None,
                    "redrives": redrives,
                    "spentAttempts": "$attempt",
                    "attempt": {"$add": ["$attempt", 1]},
                    # Its next end is told like the first.
                    "callback": {"$cond": ["$callback", untold | {"url": "$callback.url"}, None]},
                }
            }
        ],
        return_document=True,
    )
    return Job.from_mongo(found) if found else None


def find_stale(queued_before: datetime, heard_before: datetime, checked_before: datetime, limit: int) -> list[Job]:
    """Find jobs that wait for too long, or whose workers have gone silent.

    Parameters
    ----------
    queued_before, heard_before : datetime
    checked_before : datetime
        Not those whose execution was found running since, see `mark_checked`: they must not crowd out the others.
    limit : int
    """
    found = get_collection("computeTasks").find(
        {
            "$or": [
                {"status": "QUEUED", "queuedAt": {"$lt": queued_before}},
                {"status": "PROCESSING", "heartbeatAt": {"$lt": heard_before}},
            ],
            "checkedAt": {"$not": {"$gte": checked_before}},
        },
        {"result": 0},
    )
    return [Job.from_mongo(document) for document in found.limit(limit)]


def mark_checked(job_id: str, now: datetime) -> None:
    """Remember that a job's execution was found running.

    Parameters
    ----------
    job_id : str
    now : datetime
    """
    get_collection("computeTasks").update_one({"_id": job_id}, {"$set": {"checkedAt": now}})


def find_untold(finished_before: datetime, limit: int) -> list[Job]:
    """Find jobs that are over and whose callbacks the queue has not taken, without payloads and results.

    Parameters
    ----------
    finished_before : datetime
    limit : int
    """
    found = get_collection("computeTasks").find(
        {"callback.status": "PENDING", "finishedAt": {"$lt": finished_before}},
        {"payload": 0, "result": 0},
    )
    return [Job.from_mongo({"payload": {}, **document}) for document in found.limit(limit)]


def queue_callback(job_id: str, attempt: int) -> None:
    """Record that the queue has taken a job's callback: PENDING to QUEUED.

    Parameters
    ----------
    job_id : str
    attempt : int
    """
    get_collection("computeTasks").update_one(
        {"_id": job_id, "attempt": attempt, "callback.status": "PENDING"}, {"$set": {"callback.status": "QUEUED"}}
    )


def record_callback(job_id: str, attempt: int, callback: Callback) -> None:
    """Record a try of a job's callback; one that was taken meanwhile stays so.

    Parameters
    ----------
    job_id : str
    attempt : int
    callback : Callback
    """
    get_collection("computeTasks").update_one(
        {"_id": job_id, "attempt": attempt, "callback.status": {"$nin": ["DELIVERED", "REFUSED"]}},
        {"$set": {"callback": callback.to_mongo()}},
    )


def _change(guard: Record, values: Record) -> Job | None:
    found = get_collection("computeTasks").find_one_and_update(guard, {"$set": values}, return_document=True)
    return Job.from_mongo(found) if found else None
