"""Settings of tone mapping."""

from pydantic import Field

from studio.settings import Settings


class ToneMappingSettings(Settings):
    """How big a picture may be, and how much of an answer fits inline."""

    image_max_pixels: int = Field(default=100_000_000, ge=1)
    scene_image_max_pixels: int = Field(default=40_000_000, ge=1)
    image_max_dimension: int = Field(default=30_000, ge=1)
    # Lambda's answer ends at 6,291,556 bytes, and base64 makes four of three.
    inline_result_max_bytes: int = Field(default=4_400_000, ge=1)
    inline_lut_max_bytes: int = Field(default=4_000_000, ge=1)
