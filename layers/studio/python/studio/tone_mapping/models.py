"""What the tone-mapping API takes and answers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio.compute_tasks.models import TaskOptions
from studio.image_source import ImageSource
from studio.names import Name
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.formats import Format
from studio.tone_mapping.output import Output, longest_side

PresetId = Annotated[
    str, Field(max_length=64, pattern=r"^[a-z0-9_]+$", description="A built-in look or one of your own.")
]
Strength = Annotated[float, Field(ge=0, le=100)]


@dataclass(frozen=True)
class OutputOptions(Output):
    """How the graded image comes back."""

    max_size: int | None = longest_side(16)
    delivery: Literal["auto", "inline", "url"] = field(
        default="auto",
        metadata={
            "description": "inline: base64 in the answer. url: a presigned URL. auto: inline where it fits. A job's "
            "picture is always at a URL.",
        },
    )


class GradingRequest(ImageSource, TaskOptions):
    """What every request that grades an image has."""

    output: OutputOptions = OutputOptions()
    dry_run: bool = Field(default=False, description="Tell everything, but make no picture.")
    use_cache: bool = Field(
        default=True,
        description="Answer the same request on the same image from your cache, and keep the answer there.",
    )


class AutoCorrectRequest(GradingRequest):
    """Body of POST /tone-mapping/auto-correct."""

    strength: Strength = Field(default=100, description="How much of the correction, in percent.")
    skip: list[Literal["tone", "white_balance", "colour"]] = Field(
        default=[], max_length=3, description="What is left as it is."
    )
    reference_key: str | None = Field(
        default=None,
        max_length=300,
        description="`image_key` of one of your uploads or results: the picture is graded to look like it instead of "
        "by itself.",
    )


class AdjustRequest(GradingRequest):
    """Body of POST /tone-mapping/adjust."""

    adjustments: Adjustments = Field(description="The sliders.")


class ApplyPresetRequest(GradingRequest):
    """Body of POST /tone-mapping/apply-preset."""

    preset_id: PresetId
    strength: Strength = Field(default=100, description="How much of the preset, in percent.")
    auto: bool = Field(default=False, description="Correct the image automatically first.")
    adjustments: Adjustments = Field(default=Adjustments(), description="Sliders on top of the preset.")


class CreateLutRequest(BaseModel):
    """Body of POST /tone-mapping/lut: sliders, a preset, an image to correct automatically, or several of them.

    They are applied in the order image, preset, sliders.
    """

    model_config = ConfigDict(extra="forbid")

    adjustments: Adjustments | None = Field(default=None, description="The sliders.")
    preset_id: PresetId | None = None
    strength: Strength = Field(default=100, description="How much of the preset, in percent.")
    auto: ImageSource | None = Field(default=None, description="An image; its automatic correction comes first.")
    size: Literal[17, 33, 65] | None = Field(
        default=None,
        description="Grid points a side; by default what grading an 8-bit image takes, at most 65.",
    )
    format: Literal["cube", "png", "json"] = Field(
        default="cube",
        description="cube: the text of a .cube file. png: size² x size pixels, 8 bits, at (blue x size + red, green). "
        "json: a flat list of numbers 0…1, red running fastest, three a node.",
    )
    title: Name = Field(default="Studio", description="TITLE line of the .cube.")
    delivery: Literal["auto", "inline", "url"] = Field(
        default="auto", description="inline: in the answer. url: a presigned URL. auto: inline where it fits."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.adjustments is None and self.preset_id is None and self.auto is None:
            raise ValueError("give at least one of adjustments, preset_id and auto; got none of them")
        return self


class CreateLutResponse(BaseModel):
    """A LUT, inline as one of `cube`, `png` and `table`, or at `lut_url`."""

    lut_id: str = Field(description="Names its values: the `lut_id` of an image that was graded with it.")
    size: int
    format: Literal["cube", "png", "json"]
    cube: str | None = Field(default=None, description="The text of a .cube file.")
    png: str | None = Field(default=None, description="base64.")
    table: list[float] | None = None
    lut_url: str | None = Field(default=None, description="Presigned, where it is delivered by URL.")
    expires_at: datetime | None = Field(default=None, description="When `lut_url` ends.")
    spatial: list[str] = Field(description="Sliders that were given and that no LUT can hold.")


class AutoStep(BaseModel):
    """One decision of the automatic correction."""

    name: str
    applied: bool
    reason: str


class AppliedGrade(BaseModel):
    """One of the grades that an image went through, in order."""

    source: Literal["auto", "preset", "adjustments"]
    preset_id: str | None = None
    strength: float = Field(default=100, description="Percent; the sliders are told as scaled by it.")
    adjustments: Adjustments | None = Field(description="The sliders; null for a preset that is a LUT.")


class ImageStatistics(BaseModel):
    """What was measured on a proxy of the picture, without a frame around it; luma and shares are 0…1."""

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
    size_bytes: int | None = Field(description="Null where no picture was asked for.")
    adjustments: Adjustments | None = Field(
        description="The sliders that were chosen, given or looked up; null for a preset that is a LUT."
    )
    confidence: float | None = Field(ge=0, le=1, description="How sure automatic correction is; null without it.")
    steps: list[AutoStep] = Field(description="What automatic correction decided, and why.")
    grades: list[AppliedGrade] = Field(description="All that was applied, collapsed into one LUT.")
    statistics: dict[Literal["before", "after"], ImageStatistics]
    lut_id: str
    cache: Literal["hit", "miss"] = Field(description="Whether the answer came from your cache.")
    timings_ms: dict[str, float] = Field(description="Where the time went, in milliseconds.")
    request_id: str = Field(description="Names the request in our logs; of a job, the job's id.")
