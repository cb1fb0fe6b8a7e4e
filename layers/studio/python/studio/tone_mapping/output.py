"""How a graded picture is written: what a request may say of it, too, so that nothing here loads OpenCV."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.tone_mapping.formats import Format


class Output(BaseModel):
    """How a graded picture is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["auto", Format] = Field(
        "auto", description="File format; `auto` keeps the input's, and is PNG for OpenEXR and Radiance HDR."
    )
    quality: int = Field(90, ge=1, le=100, description="Quality of JPEG, WebP and AVIF.")
    bit_depth: Literal[8, 16] | None = Field(
        None,
        description="Bits of a channel; 16 is for PNG and TIFF. By default the input's, where the format can.",
    )
    max_size: int | None = Field(
        None,
        ge=1,
        le=30_000,
        description="Longest side in pixels; a larger picture is made smaller, a smaller one kept.",
    )
    strip_metadata: bool = Field(
        False, description="Leave EXIF out, its GPS position with it; the colour profile stays, or colours would shift."
    )
