"""The sliders: everything that a grade is made from."""

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

AS_SHOT_KELVIN = 6504  # the white of sRGB, D65
SPATIAL = ("clarity", "texture", "dehaze")  # sliders that look at a pixel's neighbours: no LUT holds them

_LEAST_STEP = 1 / 256  # between a curve's points: neighbouring 8-bit codes pass
_SAME = 1e-6

_Share = Annotated[float, Field(ge=0, le=1)]
_Point = Annotated[tuple[_Share, _Share], Field(strict=False)]  # JSON has lists
CurvePoints = Annotated[tuple[_Point, ...], Field(strict=False, max_length=32)]


class ToneCurve(BaseModel):
    """Curves through points (input, output), both display-encoded 0 (black) to 1 (white); no points change nothing.

    Between its points a curve is smooth and overshoots none of them; before the first and after the last it is flat.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rgb: CurvePoints = Field(
        (),
        description="Of all channels at once, keeping hue: 2 to 32 points of display-encoded [input, output], 0 to 1, "
        "inputs rising by 1/256 or more. Applied before the channels' own curves.",
    )
    red: CurvePoints = Field((), description="Of red alone, points as in `rgb`: raised, the tones turn red; else cyan.")
    green: CurvePoints = Field(
        (), description="Of green alone, points as in `rgb`: raised, the tones turn green; else magenta."
    )
    blue: CurvePoints = Field(
        (), description="Of blue alone, points as in `rgb`: raised, the tones turn blue; else yellow."
    )

    @field_validator("rgb", "red", "green", "blue")
    @classmethod
    def _usable(cls, points: CurvePoints) -> CurvePoints:
        """Refuse points that make no curve; a straight diagonal is no points at all."""
        if len(points) == 1:
            raise ValueError("a curve takes at least 2 points, got 1")
        for number, ((left, _), (right, _)) in enumerate(pairwise(points), start=1):
            if right - left < _LEAST_STEP:
                raise ValueError(
                    f"inputs must rise by at least 1/256 from point to point; point {number} is at {left:g}, "
                    f"point {number + 1} at {right:g}"
                )
        if points and points[0][0] <= _SAME and points[-1][0] >= 1 - _SAME:
            return points if any(abs(y - x) > _SAME for x, y in points) else ()
        return points

    def scaled(self, strength: float) -> "ToneCurve":
        """Return the curves at ``strength`` percent (0..100) of their way from the diagonal.

        Parameters
        ----------
        strength : float
            0..100 percent.

        Returns
        -------
        ToneCurve
        """
        share = strength / 100
        return ToneCurve.model_validate({name: _towards_diagonal(points, share) for name, points in self})


def _towards_diagonal(points: CurvePoints, share: float) -> CurvePoints:
    """Leave `share` of each point's way from the diagonal; the ends go to black and white, for they clip before those.

    Inner points move straight up or down.
    """
    if not points:
        return points
    (first_x, first_y), *inner, (last_x, last_y) = points
    rest = 1 - share
    return (
        (share * first_x, share * first_y),
        *((x, share * y + rest * x) for x, y in inner),
        (min(last_x + rest * (1 - last_x), 1.0), min(last_y + rest * (1 - last_y), 1.0)),
    )


class HueAdjustment(BaseModel):
    """Sliders of one range of hues; neutral colours keep out of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hue: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="Turns the hue towards the next range (positive: red to orange, … magenta to red) or the one "
        "before; ±100 is 60 % of the way there, which two that come towards each other share.",
    )
    saturation: float = Field(
        0.0, ge=-100, le=100, description="Saturation of these hues: -100 is grey, +100 about doubles."
    )
    luminance: float = Field(
        0.0, ge=-100, le=100, description="Brightness of these hues: negative darkens, positive brightens."
    )

    def scaled(self, strength: float) -> "HueAdjustment":
        """Return the same sliders at ``strength`` percent (0..100).

        Parameters
        ----------
        strength : float
            0..100 percent.

        Returns
        -------
        HueAdjustment
        """
        return HueAdjustment.model_validate({name: value * strength / 100 for name, value in self})


class Hsl(BaseModel):
    """Hue, saturation and luminance by ranges of hue, each blending into its neighbours."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    red: HueAdjustment = Field(HueAdjustment(), description="Sliders of the reds.")
    orange: HueAdjustment = Field(HueAdjustment(), description="Sliders of the oranges, skin among them.")
    yellow: HueAdjustment = Field(HueAdjustment(), description="Sliders of the yellows.")
    green: HueAdjustment = Field(HueAdjustment(), description="Sliders of the greens.")
    aqua: HueAdjustment = Field(HueAdjustment(), description="Sliders of the aquas.")
    blue: HueAdjustment = Field(HueAdjustment(), description="Sliders of the blues, sky among them.")
    purple: HueAdjustment = Field(HueAdjustment(), description="Sliders of the purples.")
    magenta: HueAdjustment = Field(HueAdjustment(), description="Sliders of the magentas.")

    def scaled(self, strength: float) -> "Hsl":
        """Return the same sliders at ``strength`` percent (0..100).

        Parameters
        ----------
        strength : float
            0..100 percent.

        Returns
        -------
        Hsl
        """
        return Hsl.model_validate({name: sliders.scaled(strength) for name, sliders in self})


class Adjustments(BaseModel):
    """Sliders, named and ranged as Lightroom's users know them; all at rest leave a picture as it is.

    All are global and in the LUT, but for clarity, texture and dehaze, which look at a pixel's surroundings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

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
    temperature_kelvin: float | None = Field(
        None,
        ge=2000,
        le=50_000,
        description="White balance as the colour temperature of the light, in kelvin, instead of `temperature`: the "
        "picture as shot counts as 6504, more makes it warmer, less cooler. 6504 changes nothing and is null.",
    )
    tint: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="White balance, green to magenta: positive is magenta; 100 lowers green by 0.8 EV.",
    )
    tone_curve: ToneCurve = Field(
        ToneCurve(), description="Curves through points of your own, applied after exposure, contrast and the like."
    )
    hsl: Hsl = Field(Hsl(), description="Hue, saturation and luminance of eight ranges of hue.")
    clarity: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="Contrast of larger details against their surroundings; negative softens. Spatial: not in a LUT.",
    )
    texture: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="Contrast of fine details such as skin and foliage; negative smooths. Spatial: not in a LUT.",
    )
    dehaze: float = Field(
        0.0,
        ge=-100,
        le=100,
        description="Takes haze off, where the picture has any; negative adds some. Spatial: not in a LUT.",
    )

    @field_validator("temperature_kelvin")
    @classmethod
    def _one_temperature(cls, kelvin: float | None, info: ValidationInfo) -> float | None:
        """Refuse a second temperature; the picture's own is none."""
        if kelvin == AS_SHOT_KELVIN:
            return None
        if kelvin is not None and info.data.get("temperature"):
            raise ValueError("temperature_kelvin and temperature say the same thing: set one of them")
        return kelvin

    @property
    def is_spatial(self) -> bool:
        """Whether any slider needs a pixel's surroundings, so that a LUT is not the whole grade."""
        return any(getattr(self, name) for name in SPATIAL)

    def without_spatial(self) -> Self:
        """Return what a LUT holds: the same sliders, with clarity, texture and dehaze at rest."""
        return self.model_copy(update=dict.fromkeys(SPATIAL, 0.0)) if self.is_spatial else self

    def scaled(self, strength: float) -> "Adjustments":
        """Return the same sliders at ``strength`` percent (0..100): kelvin in mireds, curves towards the diagonal.

        Parameters
        ----------
        strength : float
            0..100 percent.

        Returns
        -------
        Adjustments
        """
        if strength == 100:
            return self
        share = strength / 100
        values: dict[str, Any] = {}
        for name, value in self:
            if isinstance(value, ToneCurve | Hsl):
                values[name] = value.scaled(strength)
            elif name == "temperature_kelvin":
                values[name] = _scaled_kelvin(value, share)
            else:
                values[name] = value * strength / 100
        return Adjustments.model_validate(values)


def _scaled_kelvin(kelvin: float | None, share: float) -> float | None:
    """Scale the difference in mireds, which is how temperatures are seen: 100 K matter at 3000 K, not at 20,000."""
    if kelvin is None or share == 0:
        return None
    scaled = 1 / (share / kelvin + (1 - share) / AS_SHOT_KELVIN)
    return min(max(scaled, min(kelvin, AS_SHOT_KELVIN)), max(kelvin, AS_SHOT_KELVIN))
