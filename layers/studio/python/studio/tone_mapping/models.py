"""What the tone-mapping API takes and answers."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.image_source import ImageSource
from studio.tone_mapping.adjustments import Adjustments

Format = Literal["jpeg", "png", "webp", "avif", "tiff"]


class OutputOptions(BaseModel):
    """How the graded image comes back."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["auto", "jpeg", "png", "webp", "avif", "tiff"] = Field(
        default="auto", description="auto keeps the input's."
    )
    quality: int = Field(default=90, ge=1, le=100, description="Of JPEG, WebP and AVIF.")
    bit_depth: Literal[8, 16] | None = Field(default=None, description="16 for PNG and TIFF; the input's by default.")
    max_size: int | None = Field(default=None, ge=16, le=30_000, description="Longest side in pixels; never enlarges.")
    delivery: Literal["auto", "inline", "url"] = Field(
        default="auto", description="inline: base64 in the answer. url: a presigned URL. auto: inline where it fits."
    )


class AutoCorrectRequest(ImageSource):
    """Body of POST /tone-mapping/auto-correct."""

    strength: float = Field(default=100, ge=0, le=100, description="How much of the correction, in percent.")
    output: OutputOptions = OutputOptions()


class CreateLutRequest(BaseModel):
    """Body of POST /tone-mapping/lut."""

    model_config = ConfigDict(extra="forbid")

    adjustments: Adjustments = Field(description="The sliders.")
    size: Literal[17, 33] = Field(default=33, description="Grid points a side.")
    title: str = Field(default="Studio", min_length=1, max_length=100, description="TITLE line of the .cube.")


class CreateLutResponse(BaseModel):
    """A LUT."""

    lut_id: str
    size: int
    cube: str = Field(description="The text of a .cube file.")


class AutoStep(BaseModel):
    """One decision of the automatic correction."""

    name: str
    applied: bool
    reason: str


class ImageStatistics(BaseModel):
    """What was measured on a proxy of the picture; luma and shares are 0…1."""

    luma_mean: float
    luma_percentiles: dict[str, float]
    clipped_high: float = Field(description="Share of pixels with a channel at full.")
    clipped_low: float = Field(description="Share of pixels at black.")
    chroma_mean: float = Field(description="Mean CIELAB chroma.")
    histogram: list[float] = Field(description="Share of pixels in 64 equal steps of luma.")


class GradedImageResponse(BaseModel):
    """A graded image, and how it came about."""

    image: str | None = Field(default=None, description="base64, where it is delivered inline.")
    image_url: str | None = Field(default=None, description="Presigned, where it is delivered by URL.")
    expires_at: datetime | None = Field(default=None, description="When `image_url` ends.")
    result_key: str | None = Field(default=None, description="Names the stored result, where it is delivered by URL.")
    format: Format
    width: int
    height: int
    size_bytes: int
    adjustments: Adjustments
    confidence: float = Field(ge=0, le=1)
    steps: list[AutoStep]
    statistics: dict[Literal["before", "after"], ImageStatistics]
    lut_id: str
    timings_ms: dict[str, float] = Field(description="Where the time went, in milliseconds.")
    request_id: str
