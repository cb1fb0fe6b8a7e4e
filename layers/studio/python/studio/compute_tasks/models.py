"""What a job is, stored and on the wire."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio.caller import Caller
from studio.documents import Document

Target = Literal["LAMBDA", "BATCH"]
Status = Literal["QUEUED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]

CALLBACK_URL = (
    "An https URL that gets a signed POST with the body of the job's status once the job is over; see "
    "`GET /compute-tasks/callback-secret`."
)
CallbackStatus = Literal["PENDING", "QUEUED", "DELIVERED", "REFUSED", "FAILED"]

FINAL: tuple[Status, ...] = ("COMPLETED", "FAILED", "CANCELLED")


class TaskOptions(BaseModel):
    """How a request that can be offloaded is run."""

    use_container: bool = Field(default=False, description="Run as a job of its own instead of in the request.")
    wait_for_result: bool = Field(
        default=False,
        description="With `use_container`: respond with the job's result if it is there in time, otherwise as "
        "without waiting.",
    )
    wait_timeout_seconds: float = Field(
        default=25, gt=0, le=25, description="How long to wait; no longer than 25 s after the request began."
    )
    target: Target | None = Field(
        default=None,
        description="With `use_container`, where the job runs: `LAMBDA` starts at once, `BATCH` in a container of its "
        "own, within minutes.",
    )
    callback_url: str | None = Field(default=None, max_length=2048, description=f"With `use_container`. {CALLBACK_URL}")

    @model_validator(mode="after")
    def _only_a_job_has_options(self) -> Self:
        names = [name for name in ("callback_url", "target") if getattr(self, name) is not None]
        if names and not self.use_container:
            raise ValueError(f"without use_container there is no job, which {' and '.join(names)} would be of")
        return self


class Progress(Document):
    """How far a job is.

    Attributes
    ----------
    preview_key : str or None
        Of a picture of what has been made so far.
    """

    percent: float = Field(default=0, ge=0, le=100)
    stage: str = ""
    eta_seconds: float | None = None
    preview_key: str | None = None


class JobError(Document):
    """Why a job failed."""

    code: str
    message: str
    status: int = 500  # what the request would have been answered, had it been run at once
    field: str | None = None  # that is wrong with the request


class Callback(Document):
    """Who is told that a job is over, and how far that is.

    Attributes
    ----------
    status : str
        PENDING until the job is over and the queue has taken it, QUEUED while it is tried; REFUSED by an answer of 410,
        FAILED after the last try.
    error : str or None
        Why the last try failed.
    """

    url: str
    status: CallbackStatus = "PENDING"
    tries: int = 0
    error: str | None = None
    delivered_at: datetime | None = None


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
    redrives : int
        Of its execution, as far as the job has followed them.
    spent_attempts : int
        Those before the last redrive, which gives as many as at first.
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
    redrives: int = 0
    spent_attempts: int = 0
    callback: Callback | None = None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime

    @property
    def caller(self) -> Caller:
        """Whoever the job works for: its user, with the key and the scopes that started it."""
        return Caller(user_id=self.user_id, key_id=self.key_id, scopes=frozenset(self.scopes))


class ProgressResponse(BaseModel):
    """How far a job is."""

    percent: float = Field(ge=0, le=100)
    stage: str
    eta_seconds: float | None
    preview_url: str | None = Field(
        default=None, description="While a film is made: a JPEG of one of its newest frames, in the job's status."
    )


class JobErrorResponse(BaseModel):
    """Why a job failed."""

    code: str = Field(description="For programs; stable.")
    message: str


class CallbackResponse(BaseModel):
    """Who is told that a job is over, and how far that is."""

    url: str
    status: CallbackStatus = Field(
        description="PENDING until the job is over, QUEUED while it is tried; REFUSED by an answer of 410, FAILED "
        "after the last try."
    )
    tries: int
    error: str | None = Field(description="Why the last try failed.")
    delivered_at: datetime | None


class CallbackSecretResponse(BaseModel):
    """What your callbacks are signed with."""

    secret: str = Field(description="Key of the HMAC-SHA256 in `studio-signature`: this text as it is.")


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
    callback: CallbackResponse | None = Field(
        default=None, description="Where the job was started with `callback_url`; not in the callback itself."
    )
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
