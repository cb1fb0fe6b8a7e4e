"""Settings of uploads."""

from pydantic import Field

from studio.settings import Settings


class UploadSettings(Settings):
    """How big an upload may be."""

    upload_max_bytes: int = Field(default=200_000_000, ge=1)
