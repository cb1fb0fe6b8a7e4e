"""Projects in MongoDB; every query is scoped to the owner.

A project's latest version is in minimaticsProjects, the ones before it are in minimaticsProjectVersions.
"""

from contextlib import suppress

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from studio.minimatics.api_models import StoredProject
from studio.mongo import Record, get_collection

INDEXES = {
    "minimaticsProjects": [IndexModel([("userId", ASCENDING), ("_id", DESCENDING)], name="owner")],
    "minimaticsProjectVersions": [
        IndexModel([("userId", ASCENDING), ("projectId", ASCENDING), ("version", ASCENDING)], name="owner")
    ],
}


def insert_project(project: StoredProject) -> None:
    """Store a new project.

    Parameters
    ----------
    project : StoredProject
    """
    get_collection("minimaticsProjects").insert_one(project.to_mongo())


def count_projects(user_id: str) -> int:
    """Count a user's projects.

    Parameters
    ----------
    user_id : str
    """
    return get_collection("minimaticsProjects").count_documents({"userId": user_id})


def find_project(project_id: str, user_id: str) -> StoredProject | None:
    """Find the latest version of a user's project.

    Parameters
    ----------
    project_id, user_id : str
    """
    found = get_collection("minimaticsProjects").find_one({"_id": project_id, "userId": user_id})
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
    with suppress(DuplicateKeyError):  # of somebody else who replaces it, or did not come further: it is the same
        get_collection("minimaticsProjectVersions").insert_one(kept)
    match = {"_id": latest.id, "userId": latest.user_id, "version": latest.version}
    if get_collection("minimaticsProjects").replace_one(match, new.to_mongo()).matched_count == 1:
        return True
    if find_project(latest.id, latest.user_id) is None:
        _delete_versions(latest.id, latest.user_id)  # the one just kept, after its project was deleted
    return False


def delete_project(project_id: str, user_id: str) -> bool:
    """Delete a user's project with all of its versions; False where the user has no such project.

    Parameters
    ----------
    project_id, user_id : str
    """
    deleted = get_collection("minimaticsProjects").delete_one({"_id": project_id, "userId": user_id})
    _delete_versions(project_id, user_id)  # those as well that a deletion left which did not come this far
    return deleted.deleted_count == 1


def _delete_versions(project_id: str, user_id: str) -> None:
    get_collection("minimaticsProjectVersions").delete_many({"userId": user_id, "projectId": project_id})
