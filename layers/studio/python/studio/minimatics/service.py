"""Projects: kept, changed in versions, listed, copied."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from studio.caller import Caller
from studio.documents import new_id, utc_now
from studio.errors import ConflictError, NotFoundError, TooLargeError, refuse_fields
from studio.json_body import whole
from studio.minimatics import references, repository
from studio.minimatics.api_models import (
    CreateProjectRequest,
    DuplicateProjectRequest,
    ListProjectsResponse,
    ProjectResponse,
    ProjectSummary,
    StoredProject,
    UpdateProjectRequest,
    without_response_fields,
)
from studio.minimatics.models import PROJECT_CLIPS_MAX, Project
from studio.minimatics.settings import ProjectSettings
from studio.minimatics.timeline import Timeline
from studio.names import NAME_MAX

_COPY = " (copy)"
_TRIES = 20
_MOST_VALUES = 200_000  # a hundred for each of 2,000 shots; wrong ones take a kilobyte each until they are told

_Request = TypeVar("_Request", CreateProjectRequest, UpdateProjectRequest)


def create_project(caller: Caller, given: Mapping[str, Any]) -> ProjectResponse:
    """Keep a project.

    Parameters
    ----------
    caller : Caller
    given : mapping
        A `CreateProjectRequest`, not validated yet.

    Returns
    -------
    ProjectResponse

    Raises
    ------
    InvalidFieldError
        It has everything that is wrong with the project, or not there.
    TooLargeError
        If it has more bytes than allowed.
    ConflictError
        If the caller has as many projects or bytes as allowed.
    """
    caller.require("export")
    request = _check(caller, CreateProjectRequest, given)
    now = utc_now()
    return _insert(
        StoredProject(
            id=new_id("prj"),
            user_id=caller.user_id,
            name=request.name,
            version=1,
            **film_fields(request),
            created_at=now,
            updated_at=now,
        )
    )


def list_projects(caller: Caller, limit: int, cursor: str | None) -> ListProjectsResponse:
    """List the caller's projects, newest first.

    Parameters
    ----------
    caller : Caller
    limit : int
        Size of a page, 1 to 100.
    cursor : str or None
        `next_cursor` of the page before.

    Returns
    -------
    ListProjectsResponse
    """
    caller.require("export")
    found = repository.list_projects(caller.user_id, cursor, limit + 1)
    items = [ProjectSummary(project_id=item.id, **item.model_dump()) for item in found[:limit]]
    return ListProjectsResponse(items=items, next_cursor=items[-1].project_id if len(found) > limit else None)


def get_project(caller: Caller, project_id: str, version: int | None) -> ProjectResponse:
    """Describe one of the caller's projects.

    Parameters
    ----------
    caller : Caller
    project_id : str
    version : int or None
        The latest by default.

    Returns
    -------
    ProjectResponse

    Raises
    ------
    NotFoundError
        If the caller has no such project, or it has no such version.
    """
    caller.require("export")
    latest = _find(caller.user_id, project_id)
    return _to_response(_find_version(latest, version), latest.version)


def find_version(user_id: str, project_id: str, version: int | None, field: str = "project_id") -> StoredProject:
    """Find a version of a user's project.

    Parameters
    ----------
    user_id, project_id : str
    version : int or None
        The latest by default.
    field : str
        That names the project, for the error.

    Raises
    ------
    NotFoundError
        If the user has no such project, or it has no such version.
    """
    return _find_version(_find(user_id, project_id, field), version)


def update_project(caller: Caller, project_id: str, given: Mapping[str, Any]) -> ProjectResponse:
    """Make the next version of one of the caller's projects; those before it are kept.

    Parameters
    ----------
    caller : Caller
    project_id : str
    given : mapping
        An `UpdateProjectRequest`, not validated yet.

    Returns
    -------
    ProjectResponse

    Raises
    ------
    InvalidFieldError
        It has everything that is wrong with the project, or not there.
    TooLargeError
        If it has more bytes than allowed.
    NotFoundError
        If the caller has no such project.
    ConflictError
        If the request names a version that is not the latest, or there are as many versions or bytes as allowed.
    """
    caller.require("export")
    request = _check(caller, UpdateProjectRequest, given)
    film = film_fields(request)
    for _ in range(_TRIES):  # each that fails is one that somebody else succeeded with
        latest = _find(caller.user_id, project_id)
        _check_version(latest, request.version)
        _check_room(caller.user_id, film["stored_bytes"])
        changes = {"name": request.name, "version": latest.version + 1, **film, "updated_at": utc_now()}
        changes["stored_bytes"] += latest.stored_bytes
        new = latest.model_copy(update=changes)
        if repository.replace_project(latest, new):
            return _to_response(new, new.version)
    raise ConflictError("the project is being changed by others; try again", code="PROJECT_CHANGED", retry_after=1)


def delete_project(caller: Caller, project_id: str) -> None:
    """Delete one of the caller's projects with all of its versions; its pictures and recordings stay.

    Parameters
    ----------
    caller : Caller
    project_id : str

    Raises
    ------
    NotFoundError
        If the caller has no such project.
    """
    caller.require("export")
    if not repository.delete_project(project_id, caller.user_id):
        raise _no_such(project_id)


def duplicate_project(caller: Caller, project_id: str, request: DuplicateProjectRequest) -> ProjectResponse:
    """Keep a copy of one of the caller's projects, as a project of its own.

    Parameters
    ----------
    caller : Caller
    project_id : str
    request : DuplicateProjectRequest

    Returns
    -------
    ProjectResponse

    Raises
    ------
    NotFoundError
        If the caller has no such project, or it has no such version.
    ConflictError
        If the caller has as many projects or bytes as allowed.
    """
    caller.require("export")
    original = find_version(caller.user_id, project_id, request.version)
    now = utc_now()
    name = request.name or original.name[: NAME_MAX - len(_COPY)] + _COPY
    size = len(json.dumps(original.film))
    changes = {"id": new_id("prj"), "name": name, "version": 1, "stored_bytes": size}
    changes |= {"created_at": now, "updated_at": now}
    return _insert(original.model_copy(update=changes))


def film_fields(project: Project) -> dict[str, Any]:
    """Make what is stored of a film.

    Parameters
    ----------
    project : Project

    Returns
    -------
    dict
        Fields of a `StoredProject`, as if of its first version: the film with every default written out, its length
        and size.

    Raises
    ------
    TooLargeError
        If it has more bytes than allowed.
    """
    film = project.model_dump(mode="json", by_alias=True, include=set(Project.model_fields))
    size, limit = len(json.dumps(film)), ProjectSettings.load().project_max_bytes
    if size > limit:
        message = f"a project may have {limit:,} bytes, every default written out; got {size:,}"
        raise TooLargeError(message, code="PROJECT_TOO_LARGE")
    timeline = Timeline(project)
    return {
        "film": film,
        "shot_count": len(project.shots),
        "duration_frames": timeline.frames,
        "duration_seconds": float(timeline.seconds(timeline.frames)),
        "stored_bytes": size,
    }


def _check(caller: Caller, model: type[_Request], given: Mapping[str, Any]) -> _Request:
    """Validate a body and what it names, and refuse it with all that is wrong."""
    given = without_response_fields(given, model)
    _check_size(given)
    problems: list[references.Problem] = []
    request = None
    try:
        request = model.model_validate(json.loads(json.dumps(given), parse_float=whole))
    except ValidationError as error:
        problems = [(problem["loc"], problem) for problem in error.errors(include_url=False)]
    problems += references.find_missing(caller, given, {path for path, _ in problems})
    if problems or request is None:
        raise refuse_fields(problems)
    return request


def _check_size(given: Mapping[str, Any]) -> None:
    """Refuse what would take too much memory only to be found wrong: pydantic tells of every wrong value it is given.

    Raises
    ------
    InvalidFieldError
    TooLargeError
    """
    settings = ProjectSettings.load()
    problems = [
        ((name,), {"type": "too_long", "msg": f"a project may have {limit:,} {things}; got {len(items):,}"})
        for name, things, limit in (
            ("shots", "shots", settings.project_shots_max),
            ("audio", "audio clips", PROJECT_CLIPS_MAX),
        )
        if isinstance(items := given.get(name), list) and len(items) > limit
    ]
    if problems:
        raise refuse_fields(problems)
    if _has_more_values(given, _MOST_VALUES):
        message = f"a project may have {_MOST_VALUES:,} values and parts; this one has more"
        raise TooLargeError(message, code="PROJECT_TOO_LARGE")
    size, limit = len(json.dumps(given)), settings.project_max_bytes
    if size > limit:
        raise TooLargeError(f"a project may have {limit:,} bytes; got {size:,}", code="PROJECT_TOO_LARGE")


def _has_more_values(given: Mapping[str, Any], limit: int) -> bool:
    count = 0
    waiting: list[Iterable[Any]] = [given.values()]
    while waiting:
        for value in waiting.pop():
            count += 1
            if count > limit:
                return True
            if isinstance(value, Mapping):
                waiting.append(value.values())
            elif isinstance(value, list):
                waiting.append(value)
    return False


def _insert(project: StoredProject) -> ProjectResponse:
    _check_room(project.user_id, project.stored_bytes)
    limit = ProjectSettings.load().projects_max
    if not repository.insert_project(project, limit):
        raise ConflictError(f"a user may have {limit:,} projects, and you have as many", code="TOO_MANY_PROJECTS")
    return _to_response(project, project.version)


def _check_room(user_id: str, size: int) -> None:
    """Refuse one version more than a user has room for; several at once may be a little more."""
    limit, kept = ProjectSettings.load().projects_max_bytes, repository.sum_bytes(user_id)
    if kept + size > limit:
        message = (
            f"a user's projects may have {limit:,} bytes with all of their versions; yours have {kept:,}, and this one "
            f"has {size:,}: delete a project; a duplicate of it has its latest version alone"
        )
        raise ConflictError(message, code="PROJECTS_TOO_LARGE")


def _check_version(latest: StoredProject, given: int | None) -> None:
    if given not in (None, latest.version):
        message = f"the latest version is {latest.version} by now; you changed version {given}"
        raise ConflictError(message, code="PROJECT_CHANGED", field="version")
    limit = ProjectSettings.load().project_versions_max
    if latest.version >= limit:
        message = f"a project may have {limit:,} versions; this one has {latest.version:,}: go on with a duplicate"
        raise ConflictError(message, code="TOO_MANY_VERSIONS")


def _find(user_id: str, project_id: str, field: str = "project_id") -> StoredProject:
    project = repository.find_project(project_id, user_id)
    if project is None:
        raise _no_such(project_id, field)
    return project


def _find_version(latest: StoredProject, version: int | None) -> StoredProject:
    if version in (None, latest.version):
        return latest
    old = repository.find_old_version(latest.id, latest.user_id, version)
    if old is None:
        message = f"the project has versions 1 to {latest.version}; got {version}"
        raise NotFoundError(message, code="VERSION_NOT_FOUND", field="version")
    return old


def _no_such(project_id: str, field: str = "project_id") -> NotFoundError:
    return NotFoundError(f"you have no project {project_id[:100]}", code="PROJECT_NOT_FOUND", field=field)


def _to_response(project: StoredProject, latest_version: int) -> ProjectResponse:
    return ProjectResponse(
        project_id=project.id,
        name=project.name,
        version=project.version,
        latest_version=latest_version,
        shot_count=project.shot_count,
        duration_frames=project.duration_frames,
        duration_seconds=project.duration_seconds,
        created_at=project.created_at,
        updated_at=project.updated_at,
        **project.film,
    )
