"""Projects in MongoDB; every query of a request is scoped to the owner.

A project's latest version is in minimaticsProjects, the ones before it are in minimaticsProjectVersions.
"""

from pymongo import ASCENDING, DESCENDING, IndexModel, timeout
from pymongo.client_session import ClientSession

from studio.minimatics.api_models import StoredProject
from studio.mongo import Record, get_collection, insert_within, run_transaction

_DELETION_SECONDS = 15.0  # with what comes before and behind it, less than the function has

INDEXES = {
    "minimaticsProjects": [
        IndexModel([("userId", ASCENDING), ("_id", DESCENDING)], name="owner"),
        IndexModel([("userId", ASCENDING), ("storedBytes", ASCENDING)], name="size"),
    ],
    "minimaticsProjectVersions": [
        IndexModel([("userId", ASCENDING), ("projectId", ASCENDING), ("version", ASCENDING)], name="owner")
    ],
}


def insert_project(project: StoredProject, limit: int) -> bool:
    """Store a new project; False where its user has as many as allowed.

    Parameters
    ----------
    project : StoredProject
    limit : int
    """
    like = {"userId": project.user_id}
    return insert_within(limit, project.user_id, "minimaticsProjects", project.to_mongo(), like)


def sum_bytes(user_id: str) -> int:
    """Add up what a user's projects and their versions have, out of the index.

    Parameters
    ----------
    user_id : str
    """
    total = {"$group": {"_id": None, "bytes": {"$sum": "$storedBytes"}}}
    found = list(get_collection("minimaticsProjects").aggregate([{"$match": {"userId": user_id}}, total]))
    return int(found[0]["bytes"]) if found else 0


def find_project(project_id: str, user_id: str | None = None) -> StoredProject | None:
    """Find the latest version of a project, of one user or anybody's.

    Parameters
    ----------
    project_id : str
    user_id : str or None
    """
    whose = {} if user_id is None else {"userId": user_id}
    found = get_collection("minimaticsProjects").find_one({"_id": project_id, **whose})
    return StoredProject.from_mongo(found) if found else None


def find_old_version(project_id: str, user_id: str, version: int) -> StoredProject | None:
    """Find a version of a user's project that is not the latest.

    Parameters
    ----------
    project_id, user_id : str
    version : int
    """
    found = get_collection("minimaticsProjectVersions").find_one(
        {"userId": user_id, "projectId": project_id, "version": version}
    )
    return StoredProject.from_mongo(found | {"_id": found["projectId"]}) if found else None


def list_projects(user_id: str, before: str | None, limit: int) -> list[StoredProject]:
    """List a user's projects without their films, newest first.

    Parameters
    ----------
    user_id : str
    before : str or None
        Only ids before this one.
    limit : int
    """
    query: Record = {"userId": user_id} | ({"_id": {"$lt": before}} if before else {})
    found = get_collection("minimaticsProjects").find(query, {"film": False}).sort("_id", DESCENDING).limit(limit)
    return [StoredProject.from_mongo(document | {"film": {}}) for document in found]


def replace_project(latest: StoredProject, new: StoredProject) -> bool:
    """Put a new version in place of the latest one, which is kept.

    Parameters
    ----------
    latest : StoredProject
        As it was found.
    new : StoredProject
        The same project's next version.

    Returns
    -------
    bool
        False, and nothing changes, where the latest version is another one by now, or the project is gone.
    """
    kept = latest.to_mongo() | {"_id": f"{latest.id}:{latest.version}", "projectId": latest.id}
    match = {"_id": latest.id, "userId": latest.user_id, "version": latest.version}

    def change(session: ClientSession) -> bool:
        if get_collection("minimaticsProjects").replace_one(match, new.to_mongo(), session=session).matched_count == 0:
            return False
        versions = get_collection("minimaticsProjectVersions")
        # It may be there: once, a function that died left it without its project's next version.
        versions.replace_one({"_id": kept["_id"]}, kept, upsert=True, session=session)
        return True

    return run_transaction(change)


def delete_project(project_id: str, user_id: str) -> bool:
    """Delete a user's project with all of its versions; False where the user has no such project.

    Where the time is too short for all of them, the project is still there, and deleting it again goes on.

    Parameters
    ----------
    project_id, user_id : str
    """
    project = {"_id": project_id, "userId": user_id}
    versions = {"userId": user_id, "projectId": project_id}
    if get_collection("minimaticsProjects").find_one(project, {"_id": True}) is None:
        return False
    # There may be more than a transaction has time for; it has those that come meanwhile.
    with timeout(_DELETION_SECONDS):
        get_collection("minimaticsProjectVersions").delete_many(versions)

    def change(session: ClientSession) -> bool:
        if get_collection("minimaticsProjects").delete_one(project, session=session).deleted_count == 0:
            return False
        get_collection("minimaticsProjectVersions").delete_many(versions, session=session)
        return True

    return run_transaction(change)
