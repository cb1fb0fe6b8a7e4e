"""What suggest takes and answers."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, StringConstraints

from studio.image_source import ImageSource
from studio.tone_mapping.adjustments import Adjustments


class SuggestRequest(ImageSource):
    """Body of POST /tone-mapping/suggest; the image is at most one of `image`, `image_key` and `image_url`."""

    image_required: ClassVar[bool] = False

    # Providers refuse NUL, and it would seem to be our fault.
    prompt: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")
    ] = Field(
        description="What the picture shall look like, in your words and language.",
        examples=["warmer, moody, lift the shadows"],
    )


class ClampedSlider(BaseModel):
    """A slider that the language model set beyond its range."""

    field: str = Field(description="Path of the slider within `adjustments`.", examples=["hsl.blue.saturation"])
    suggested: float
    used: float = Field(description="The end of the range.")


class SuggestResponse(BaseModel):
    """Sliders for some words."""

    adjustments: Adjustments = Field(description="As POST /tone-mapping/adjust takes them.")
    reason: str = Field(description="Why, in the language model's words.")
    clamped: list[ClampedSlider] = Field(description="What was set beyond its range; empty as a rule.")
    model: str = Field(description="The language model that was asked.")
    request_id: str
