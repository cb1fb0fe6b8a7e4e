"""What exporting a film takes, stores and answers."""

from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from studio.compute_tasks.models import TaskOptions
from studio.errors import ErrorDetail
from studio.minimatics.api_models import Version
from studio.minimatics.models import FilmOutput, FilmSize, Rate, Size
from studio.minimatics.segments import Plan, Segment


class ExportOrder(BaseModel):
    """Which film is to be made, and how."""

    model_config = ConfigDict(extra="forbid")

    project_id: str = Field(
        validation_alias=AliasChoices("projectId", "project_id"),
        min_length=1,
        max_length=64,
        description="A project of yours; `project_id` is taken, too.",
    )
    version: Version | None = Field(default=None, description="Of the project; the latest by default.")
    size: FilmSize | None = Field(default=None, description="In place of the project's.")
    output: FilmOutput | None = Field(default=None, description="In place of the project's, all of it.")


class ExportVideoRequest(TaskOptions, ExportOrder):
    """Body of POST /minimatics/exportVideo."""

    use_container: Literal[True] = Field(default=True, description="A film is always made by a job.")
    dry_run: bool = Field(default=False, description="Answer the plan, and make nothing.")


class ExportJob(BaseModel):
    """Payload of the job: the version that it makes a film of, and its plan, neither of which changes any more."""

    project_id: str
    version: int
    size: Size | None
    output: FilmOutput | None
    plan: Plan


class ExportEstimate(BaseModel):
    """What an export is taken to need."""

    core_seconds: float = Field(description="Of rendering and encoding, on one core.")
    seconds: float = Field(description="From the start of the job to its end.")
    cost_usd: float = Field(description="Of its containers.")
    basis: str = Field(description="What the estimate is based on.")


class ExportPlanResponse(BaseModel):
    """How a film would be made."""

    model_config = ConfigDict(extra="forbid")

    project_id: str
    version: int
    size: Size
    fps: Rate
    output: FilmOutput
    frames: int
    duration_seconds: float
    concurrency: int = Field(description="Segments that are rendered at once, at most.")
    segments: list[Segment]
    estimate: ExportEstimate
    problems: list[ErrorDetail] = Field(description="What no longer exists, and would fail the export.")


class ExportResponse(BaseModel):
    """A film. Its URLs are newly presigned; its files expire after days."""

    model_config = ConfigDict(extra="forbid")

    project_id: str
    version: int
    film_key: str
    film_url: str
    poster_key: str
    poster_url: str
    edl_key: str | None = Field(
        default=None, description="Edit decision list, CMX 3600; null for films exported before EDLs were written."
    )
    edl_url: str | None = None
    srt_key: str | None = None
    srt_url: str | None = None
    webvtt_key: str | None = None
    webvtt_url: str | None = None
    expires_at: datetime = Field(description="Of the URLs.")
    size: Size
    fps: Rate
    output: FilmOutput
    frames: int
    duration_seconds: float
    size_bytes: int
