"""What the uploads API takes and answers."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ContentType = Literal[
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/avif",
    "image/tiff",
    "image/x-exr",
    "image/vnd.radiance",
    "application/octet-stream",
]


class CreateUploadRequest(BaseModel):
    """Body of POST /uploads."""

    model_config = ConfigDict(extra="forbid")

    content_type: ContentType = Field(
        description="The Content-Type of the file; application/octet-stream for a preset's file or a recording."
    )
    size_bytes: int | None = Field(default=None, ge=1, description="Checked against the limit before anything is sent.")


class CreateUploadResponse(BaseModel):
    """How to send the file; `image_key` names it in later requests."""

    upload_id: str
    image_key: str
    method: Literal["POST", "PUT"] = Field(
        description="POST: a form with `fields`, then `file`. PUT: the bytes, with `headers`."
    )
    url: str
    headers: dict[str, str]
    fields: dict[str, str]
    max_bytes: int
    expires_at: datetime


class UploadResponse(BaseModel):
    """A file that has come in."""

    upload_id: str
    image_key: str
    size_bytes: int
    created_at: datetime


class ListUploadsResponse(BaseModel):
    """A page of uploads, oldest first."""

    items: list[UploadResponse]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")
