"""The sliders: everything that a grade is made from."""

from pydantic import BaseModel, ConfigDict, Field


class Adjustments(BaseModel):
    """Global sliders, named and ranged as Lightroom's users know them; all zero leaves a picture as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exposure: float = Field(
        0.0,
        ge=-5,
        le=5,
        description="Brightness in EV: +1 doubles the light. Highlights roll off instead of clipping.",
    )
    contrast: float = Field(0.0, ge=-100, le=100, description="Steepness of the mid-tones, black and white held fixed.")
    highlights: float = Field(0.0, ge=-100, le=100, description="Bright tones: negative darkens them, white is held.")
    shadows: float = Field(0.0, ge=-100, le=100, description="Dark tones: positive brightens them, black is held.")
    whites: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="White point: +100 turns 60 % of full code to white, -100 lowers white to 75 %.",
    )
    blacks: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="Black point: -100 turns 35 % of full code to black, +100 lifts black to 20 %.",
    )
    vibrance: float = Field(
        0.0, ge=-100, le=100, description="Saturation of dull colours, gentle on vivid ones and on skin."
    )
    saturation: float = Field(
        0.0, ge=-100, le=100, description="Saturation of every colour: -100 is grey, +100 doubles."
    )
    temperature: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="White balance, blue to yellow: positive is warmer; 100 sets red 1.6 EV over blue.",
    )
    tint: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="White balance, green to magenta: positive is magenta; 100 lowers green by 0.8 EV.",
    )

    def scaled(self, strength: float) -> "Adjustments":
        """Return the same sliders at ``strength`` percent (0..100)."""
        return Adjustments(**{name: value * strength / 100 for name, value in self})
