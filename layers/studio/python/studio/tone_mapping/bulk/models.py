"""What grading many images takes, stores and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio.compute_tasks.models import CALLBACK_URL, JobError
from studio.documents import Document

MAX_ITEMS = 10_000
TaskType = Literal["auto_correct", "adjust", "apply_preset"]


class BulkGradeRequest(BaseModel):
    """Body of POST /tone-mapping/bulk."""

    model_config = ConfigDict(extra="forbid")

    image_keys: list[Annotated[str, Field(max_length=300)]] | None = Field(
        default=None, min_length=1, max_length=MAX_ITEMS, description="Uploads or results of yours."
    )
    all_uploads: Literal[True] | None = Field(default=None, description="All of your uploads, at most 10,000.")
    manifest_key: str | None = Field(
        default=None, max_length=300, description="An upload of yours: a JSON list of 1 to 10,000 keys."
    )
    task_type: TaskType
    parameters: dict[str, Any] = Field(
        default={}, description="What a request of that task has, without its image and without `use_container`."
    )
    concurrency: int = Field(default=8, ge=1, le=40, description="How many images at once.")
    callback_url: str | None = Field(default=None, max_length=2048, description=CALLBACK_URL)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        names = ("image_keys", "all_uploads", "manifest_key")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of image_keys, all_uploads and manifest_key; got {' and '.join(given) or 'none'}"
            )
        return self


class BulkJob(BaseModel):
    """Payload of the job; which images is in the manifest, since a record holds no 10,000 keys."""

    task_type: TaskType
    parameters: dict[str, Any]
    concurrency: int
    total: int
    manifest_key: str


class BulkItem(Document):
    """How one image of a job came out, as MongoDB has it.

    Attributes
    ----------
    id : str
        ``<job id>:<index>``.
    """

    id: str = Field(alias="_id")
    user_id: str
    index: int
    image_key: str
    status: Literal["COMPLETED", "FAILED"]
    result_key: str | None = None
    error: JobError | None = None
    finished_at: datetime
    expires_at: datetime
