"""The sliders: everything that a grade is made from.

They are plain dataclasses, so that grading needs no pydantic, whose import takes as long as decoding a picture. Models
of requests hold them as they are: pydantic reads ranges and descriptions from the fields' metadata. A value out of its
range, points that make no curve, and two temperatures at once are each a ValueError.
"""

from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from studio.tone_mapping.ranges import check_ranges

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

AS_SHOT_KELVIN = 6504  # the white of sRGB, D65
SPATIAL = ("clarity", "texture", "dehaze")  # sliders that look at a pixel's neighbours: no LUT holds them

_LEAST_STEP = 1 / 256  # between a curve's points: neighbouring 8-bit codes pass
_MOST_POINTS = 32
_SAME = 1e-6


def _slider(description: str, least: float = -100, most: float = 100) -> Any:
    return field(default=0.0, metadata={"description": description, "ge": least, "le": most, "strict": True})


class _Points:
    """Tells pydantic what points may be; the error of a curve names it, and not all of them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> "CoreSchema":
        from pydantic_core import core_schema

        share = core_schema.float_schema(ge=0, le=1, strict=True)
        point = core_schema.tuple_schema([share, share], strict=False)  # JSON has lists
        points = core_schema.tuple_schema([point], variadic_item_index=0, max_length=_MOST_POINTS, strict=False)
        return core_schema.no_info_after_validator_function(_usable, points)


CurvePoints = Annotated[tuple[tuple[float, float], ...], _Points()]


def _usable(points: CurvePoints) -> CurvePoints:
    """Refuse points that make no curve; a straight diagonal is no points at all."""
    if len(points) == 1 or len(points) > _MOST_POINTS:
        raise ValueError(f"a curve takes 2 to {_MOST_POINTS} points, got {len(points)}")
    for number, ((left, _), (right, _)) in enumerate(pairwise(points), start=1):
        if right - left < _LEAST_STEP:
            raise ValueError(
                f"inputs must rise by at least 1/256 from point to point; point {number} is at {left:g}, "
                f"point {number + 1} at {right:g}"
            )
    if points and points[0][0] <= _SAME and points[-1][0] >= 1 - _SAME:
        return points if any(abs(y - x) > _SAME for x, y in points) else ()
    return points


@dataclass(frozen=True)
class ToneCurve:
    """Curves through points (input, output), both display-encoded 0 (black) to 1 (white); no points change nothing.

    Between its points a curve is smooth and overshoots none of them; before the first and after the last it is flat.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    rgb: CurvePoints = field(
        default=(),
        metadata={
            "description": "Of all channels at once, keeping hue: 2 to 32 points of display-encoded [input, output], "
            "0 to 1, inputs rising by 1/256 or more. Applied before the channels' own curves."
        },
    )
    red: CurvePoints = field(
        default=(), metadata={"description": "Of red alone, points as in `rgb`: raised, the tones turn red; else cyan."}
    )
    green: CurvePoints = field(
        default=(),
        metadata={"description": "Of green alone, points as in `rgb`: raised, the tones turn green; else magenta."},
    )
    blue: CurvePoints = field(
        default=(),
        metadata={"description": "Of blue alone, points as in `rgb`: raised, the tones turn blue; else yellow."},
    )

    def __post_init__(self) -> None:
        for channel in fields(self):
            object.__setattr__(self, channel.name, _usable(getattr(self, channel.name)))

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
        return ToneCurve(**{c.name: _towards_diagonal(getattr(self, c.name), share) for c in fields(self)})


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


@dataclass(frozen=True)
class HueAdjustment:
    """Sliders of one range of hues; neutral colours keep out of them."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    hue: float = _slider(
        "Turns the hue towards the next range (positive: red to orange, … magenta to red) or the one "
        "before; ±100 is 60 % of the way there, which two that come towards each other share."
    )
    saturation: float = _slider("Saturation of these hues: -100 is grey, +100 about doubles.")
    luminance: float = _slider("Brightness of these hues: negative darkens, positive brightens.")

    def __post_init__(self) -> None:
        check_ranges(self)

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
        return HueAdjustment(
            hue=self.hue * strength / 100,
            saturation=self.saturation * strength / 100,
            luminance=self.luminance * strength / 100,
        )


@dataclass(frozen=True)
class Hsl:
    """Hue, saturation and luminance by ranges of hue, each blending into its neighbours."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    red: HueAdjustment = field(default=HueAdjustment(), metadata={"description": "Sliders of the reds."})
    orange: HueAdjustment = field(
        default=HueAdjustment(), metadata={"description": "Sliders of the oranges, skin among them."}
    )
    yellow: HueAdjustment = field(default=HueAdjustment(), metadata={"description": "Sliders of the yellows."})
    green: HueAdjustment = field(default=HueAdjustment(), metadata={"description": "Sliders of the greens."})
    aqua: HueAdjustment = field(default=HueAdjustment(), metadata={"description": "Sliders of the aquas."})
    blue: HueAdjustment = field(
        default=HueAdjustment(), metadata={"description": "Sliders of the blues, sky among them."}
    )
    purple: HueAdjustment = field(default=HueAdjustment(), metadata={"description": "Sliders of the purples."})
    magenta: HueAdjustment = field(default=HueAdjustment(), metadata={"description": "Sliders of the magentas."})

    @property
    def ranges(self) -> tuple[HueAdjustment, ...]:
        """The sliders of each range, red to magenta."""
        return tuple(getattr(self, hue.name) for hue in fields(self))

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
        return Hsl(*(sliders.scaled(strength) for sliders in self.ranges))


@dataclass(frozen=True)
class Adjustments:
    """Sliders, named and ranged as Lightroom's users know them; all at rest leave a picture as it is.

    All are global and in the LUT, but for clarity, texture and dehaze, which look at a pixel's surroundings.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    exposure: float = _slider("Brightness in EV: +1 doubles the light. Highlights roll off instead of clipping.", -5, 5)
    contrast: float = _slider("Steepness of the mid-tones, black and white held fixed.")
    highlights: float = _slider("Bright tones: negative darkens them, white is held.")
    shadows: float = _slider("Dark tones: positive brightens them, black is held.")
    whites: float = _slider(
        "White point: +100 turns 75 % of full code nearly white, -100 lowers white to 75 %; dark tones stay."
    )
    blacks: float = _slider("Black point: -100 turns 35 % of full code to black, +100 lifts black to 20 %.")
    vibrance: float = _slider("Saturation of dull colours, gentle on vivid ones and on skin.")
    saturation: float = _slider("Saturation of every colour: -100 is grey, +100 doubles.")
    temperature: float = _slider("White balance, blue to yellow: positive is warmer; 100 sets red 1.6 EV over blue.")
    temperature_kelvin: float | None = field(
        default=None,
        metadata={
            "description": "White balance as the colour temperature of the light, in kelvin, instead of `temperature`: "
            "the picture as shot counts as 6504, more makes it warmer, less cooler. 6504 changes nothing and is null.",
            "ge": 2000,
            "le": 50_000,
            "strict": True,
        },
    )
    tint: float = _slider("White balance, green to magenta: positive is magenta; 100 lowers green by 0.8 EV.")
    tone_curve: ToneCurve = field(
        default=ToneCurve(),
        metadata={"description": "Curves through points of your own, applied after exposure, contrast and the like."},
    )
    hsl: Hsl = field(default=Hsl(), metadata={"description": "Hue, saturation and luminance of eight ranges of hue."})
    clarity: float = _slider(
        "Contrast of larger details against their surroundings; negative softens. Spatial: not in a LUT."
    )
    texture: float = _slider(
        "Contrast of fine details such as skin and foliage; negative smooths. Spatial: not in a LUT."
    )
    dehaze: float = _slider("Takes haze off, where the picture has any; negative adds some. Spatial: not in a LUT.")

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.temperature_kelvin == AS_SHOT_KELVIN:
            object.__setattr__(self, "temperature_kelvin", None)
        if self.temperature_kelvin is not None and self.temperature:
            raise ValueError("temperature_kelvin and temperature say the same thing: set one of them")

    @property
    def is_spatial(self) -> bool:
        """Whether any slider needs a pixel's surroundings, so that a LUT is not the whole grade."""
        return any(getattr(self, name) for name in SPATIAL)

    def without_spatial(self) -> "Adjustments":
        """Return what a LUT holds: the same sliders, with clarity, texture and dehaze at rest."""
        return replace(self, clarity=0.0, texture=0.0, dehaze=0.0) if self.is_spatial else self

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
        values: dict[str, Any] = {}
        for slider in fields(self):
            value = getattr(self, slider.name)
            if isinstance(value, ToneCurve | Hsl):
                values[slider.name] = value.scaled(strength)
            elif slider.name == "temperature_kelvin":
                values[slider.name] = _scaled_kelvin(value, strength / 100)
            else:
                values[slider.name] = value * strength / 100
        return Adjustments(**values)


def _scaled_kelvin(kelvin: float | None, share: float) -> float | None:
    """Scale the difference in mireds, which is how temperatures are seen: 100 K matter at 3000 K, not at 20,000."""
    if kelvin is None or share == 0:
        return None
    scaled = 1 / (share / kelvin + (1 - share) / AS_SHOT_KELVIN)
    return min(max(scaled, min(kelvin, AS_SHOT_KELVIN)), max(kelvin, AS_SHOT_KELVIN))
