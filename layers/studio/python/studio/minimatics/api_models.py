"""What projects are, stored and on the wire; what a film is made from is in `studio.minimatics.models`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from studio.documents import Document
from studio.minimatics.models import Project
from studio.names import Name

Version = Annotated[int, Field(ge=1, le=1_000_000)]


class StoredProject(Document):
    """A version of a user's project.

    Attributes
    ----------
    version : int
        Counts from 1; what has this version never changes.
    film : dict
        The project as the API has it, every default written out: it stays the film that it was.
    duration_frames : int
    duration_seconds : float
        Of the film, by its timeline.
    stored_bytes : int
        Of the films of this version and all before it, as JSON.
    created_at : datetime
        Of the project.
    updated_at : datetime
        Of this version.
    """

    id: str = Field(alias="_id")
    user_id: str
    name: str
    version: int
    film: dict[str, Any]
    shot_count: int
    duration_frames: int
    duration_seconds: float
    stored_bytes: int = 0
    created_at: datetime
    updated_at: datetime


class CreateProjectRequest(Project):
    """Body of POST /minimatics/projects."""

    name: Name = "Untitled"


class UpdateProjectRequest(Project):
    """Body of PUT /minimatics/projects/{project_id}: all of it is replaced."""

    name: Name = "Untitled"
    version: Version | None = Field(
        default=None, description="The version that you changed: a 409 if it is no longer the latest."
    )


# The service validates these itself, so that what is wrong in a body is told along with what is not there.
CreateProjectBody = Annotated[
    dict[str, Any], BeforeValidator(lambda given: given, json_schema_input_type=CreateProjectRequest)
]
UpdateProjectBody = Annotated[
    dict[str, Any], BeforeValidator(lambda given: given, json_schema_input_type=UpdateProjectRequest)
]


class DuplicateProjectRequest(BaseModel):
    """Body of POST /minimatics/projects/{project_id}/duplicate."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(default=None, description="By default the name of the project, and `(copy)`.")
    version: Version | None = Field(default=None, description="The one to copy; the latest by default.")


class ProjectSummary(BaseModel):
    """A project without its shots and sounds."""

    project_id: str
    name: str
    version: int = Field(description="The latest; each PUT makes the next one.")
    shot_count: int
    duration_frames: int = Field(description="Of the film; frames that two shots share count once.")
    duration_seconds: float
    created_at: datetime
    updated_at: datetime


class ProjectResponse(Project):
    """A version of a project, with every default written out."""

    project_id: str
    name: str
    version: int = Field(description="Counts from 1; each PUT makes the next one.")
    latest_version: int
    shot_count: int
    duration_frames: int = Field(description="Of the film; frames that two shots share count once.")
    duration_seconds: float
    created_at: datetime
    updated_at: datetime = Field(description="When this version was made.")


class ListProjectsResponse(BaseModel):
    """A page of projects, newest first."""

    items: list[ProjectSummary]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


def without_response_fields(given: Mapping[str, Any], model: type[Project]) -> dict[str, Any]:
    """Leave out what only answers have: what a GET answers can be sent back as it is.

    Parameters
    ----------
    given : mapping
        A project, not validated yet.
    model : type
        What it is to be.
    """
    of_responses = ProjectResponse.model_fields.keys() - model.model_fields.keys()
    return {name: value for name, value in given.items() if name not in of_responses}
