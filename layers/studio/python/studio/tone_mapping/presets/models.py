"""What presets are, stored and on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio.documents import Document
from studio.names import Name
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.formats import PresetFormat

Description = Annotated[str, Field(max_length=500)]


class Preset(Document):
    """A preset of a user's: sliders, or a LUT that the bucket holds.

    Attributes
    ----------
    adjustments : dict or None
        The sliders, as the API has them; None for a LUT.
    lut_size : int or None
        Nodes an axis; None for sliders.
    """

    id: str = Field(alias="_id")
    user_id: str
    name: str
    description: str
    adjustments: dict[str, Any] | None
    lut_size: int | None
    created_at: datetime
    updated_at: datetime


class CreatePresetRequest(BaseModel):
    """Body of POST /tone-mapping/presets."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Description = ""
    adjustments: Adjustments = Field(description="The sliders.")


class UpdatePresetRequest(BaseModel):
    """Body of PUT /tone-mapping/presets/{preset_id}: all of it is replaced."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Description = ""
    adjustments: Adjustments | None = Field(
        default=None, description="The sliders; left out for a preset that is a LUT, which stays as it is."
    )


class ImportPresetRequest(BaseModel):
    """Body of POST /tone-mapping/presets/import: a file's text, inline or uploaded."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["auto", PresetFormat] = Field(default="auto", description="auto tells by the content.")
    content: str | None = Field(
        default=None, max_length=4_000_000, description="The file's text, at most 4 MB.", repr=False
    )
    file_key: str | None = Field(default=None, max_length=300, description="`image_key` of one of your uploads.")
    name: Name | None = Field(default=None, description="The file's own title by default.")
    description: Description = ""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.content is None) == (self.file_key is None):
            given = "none" if self.content is None else "both"
            raise ValueError(f"give exactly one of content and file_key; got {given} of them")
        return self


class PresetResponse(BaseModel):
    """A preset."""

    preset_id: str
    name: str
    description: str
    is_builtin: bool = Field(description="Comes with Studio, and cannot be changed.")
    kind: Literal["sliders", "lut"]
    adjustments: Adjustments | None = Field(description="The sliders; null for a LUT.")
    lut_size: int | None = Field(description="Grid points a side; null for sliders.")
    created_at: datetime | None = Field(description="Null for a built-in look.")
    updated_at: datetime | None = Field(description="Null for a built-in look.")


class ImportPresetResponse(PresetResponse):
    """An imported preset, and what of its file Studio has nothing for."""

    format: PresetFormat
    unmapped: list[str] = Field(description="Settings of an .xmp that were left out or changed, with their values.")


class ListPresetsResponse(BaseModel):
    """A page of presets: built-in looks, then your own, oldest first."""

    items: list[PresetResponse]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")
