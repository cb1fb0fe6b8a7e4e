"""What a job is, stored and on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.documents import Document

Target = Literal["LAMBDA", "BATCH"]
Status = Literal["QUEUED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]

FINAL: tuple[Status, ...] = ("COMPLETED", "FAILED", "CANCELLED")


class TaskOptions(BaseModel):
    """How a request that can be offloaded is run."""

    use_container: bool = Field(default=False, description="Run as a job of its own instead of in the request.")
    wait_for_result: bool = Field(
        default=False, description="Answer with a job's result where it comes in time, else as when not waiting."
    )
    wait_timeout_seconds: float = Field(default=25, gt=0, le=25, description="How long to wait.")


class Progress(Document):
    """How far a job is."""

    percent: float = Field(default=0, ge=0, le=100)
    stage: str = ""
    eta_seconds: float | None = None


class JobError(Document):
    """Why a job failed."""

    code: str
    message: str
    status: int = 500  # what the request would have been answered, had it been run at once


class Job(Document):
    """A job as MongoDB has it.

    Attributes
    ----------
    attempt : int
        Counts from 1; a worker's writes are refused once another attempt has begun.
    payload : dict
        The request, as its model dumps it.
    result : dict or None
        The task's answer, once it is complete.
    heartbeat_at : datetime or None
        When its worker last gave a sign of life.
    """

    id: str = Field(alias="_id")
    user_id: str
    key_id: str
    scopes: list[str]
    task_type: str
    target: Target
    status: Status = "QUEUED"
    progress: Progress = Progress()
    payload: dict[str, Any]
    result: dict[str, Any] | None = None
    error: JobError | None = None
    attempt: int = 1
    execution_arn: str | None = None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime


class ProgressResponse(BaseModel):
    """How far a job is."""

    percent: float = Field(ge=0, le=100)
    stage: str
    eta_seconds: float | None


class JobErrorResponse(BaseModel):
    """Why a job failed."""

    code: str = Field(description="For programs; stable.")
    message: str


class JobResponse(BaseModel):
    """A job."""

    job_id: str
    task_type: str
    target: Target
    status: Status
    progress: ProgressResponse
    attempt: int
    error: JobErrorResponse | None
    queue_seconds: float = Field(description="From creation to its start, or until now.")
    run_seconds: float | None = Field(description="From its last start to its end, or until now.")
    status_url: str
    result_url: str | None = Field(description="Where its result is, once it is complete.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class AcceptedResponse(BaseModel):
    """A job that was started."""

    model_config = ConfigDict(extra="forbid")

    job_id: str
    status: Status
    status_url: str


class ListJobsResponse(BaseModel):
    """A page of jobs, newest first."""

    items: list[JobResponse]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")
