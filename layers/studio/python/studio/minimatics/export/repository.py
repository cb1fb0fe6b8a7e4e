"""How far an export is, and what came of it, in the record of its job."""

from datetime import datetime
from typing import Any

from studio.mongo import get_collection

RENDERED_PERCENT = 95  # of the job: what is left is joining


def report_frames(
    job_id: str, attempt: int, segment: int, frames: int, total: int, preview_key: str | None, now: datetime
) -> bool:
    """Record how many of a segment's frames are rendered: the job's progress, and a sign of life.

    Parameters
    ----------
    job_id : str
    attempt : int
        Of the job.
    segment : int
    frames : int
        Of the segment. Where it is rendered again, the previous ones count until there are more of them.
    total : int
        Of the film.
    preview_key : str or None
        Of the newest picture; None leaves the previous one.
    now : datetime

    Returns
    -------
    bool
        False where the attempt no longer owns the job.
    """
    own = f"rendered.s{segment}"
    every = {"$map": {"input": {"$objectToArray": "$rendered"}, "in": "$$this.v"}}
    # Of the attempt: what was rendered before a redrive took no time of it.
    pace = {
        "$cond": [{"$eq": ["$pace.attempt", attempt]}, "$pace", {"attempt": attempt, "done": "$done", "since": now}]
    }
    elapsed = {"$divide": [{"$subtract": [now, "$pace.since"]}, 1000]}
    fresh = {"$subtract": ["$done", "$pace.done"]}
    left = {"$divide": [{"$multiply": [elapsed, {"$subtract": [total, "$done"]}]}, fresh]}
    progress = {
        "percent": {"$max": ["$progress.percent", {"$divide": [{"$multiply": [RENDERED_PERCENT, "$done"]}, total]}]},
        "stage": {"$concat": ["rendering, ", {"$toString": "$done"}, f" of {total} frames"]},
        "etaSeconds": {"$cond": [{"$gt": [fresh, 0]}, {"$round": [left, 1]}, None]},
        "previewKey": preview_key or {"$ifNull": ["$progress.previewKey", None]},
    }
    # One pipeline, so that segments that report at once do not undo each other.
    changed = get_collection("computeTasks").update_one(
        {"_id": job_id, "attempt": attempt, "status": "PROCESSING"},
        [
            {"$set": {own: {"$max": [f"${own}", frames]}, "heartbeatAt": now}},
            {"$set": {"done": {"$sum": every}}},
            {"$set": {"pace": pace}},
            {"$set": {"progress": progress}},
        ],
    )
    return changed.matched_count == 1


def record_film(job_id: str, attempt: int, film: dict[str, Any]) -> bool:
    """Record a film that is whole, as the job's result when it completes; False where the attempt has lost the job.

    Parameters
    ----------
    job_id : str
    attempt : int
    film : dict
        An `ExportResponse` without its URLs.
    """
    changed = get_collection("computeTasks").update_one(
        {"_id": job_id, "attempt": attempt, "status": "PROCESSING"}, {"$set": {"film": film}}
    )
    return changed.matched_count == 1


def find_film(job_id: str) -> dict[str, Any] | None:
    """Find the film of a job, None where none was recorded.

    Parameters
    ----------
    job_id : str
    """
    found = get_collection("computeTasks").find_one({"_id": job_id}, {"film": 1}) or {}
    film: dict[str, Any] | None = found.get("film")
    return film
