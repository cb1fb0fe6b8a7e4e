"""Every slider of the model, for tests that try each: plain numbers, those of hues, curves and kelvin alike."""

from dataclasses import fields
from typing import Any

from studio.tone_mapping.adjustments import SPATIAL, Adjustments, Hsl, HueAdjustment, ToneCurve
from studio.tone_mapping.read_adjustments import read_adjustments

HUES = [hue.name for hue in fields(Hsl)]
HSL = [f"hsl.{hue}.{part}" for hue in HUES for part in ("hue", "saturation", "luminance")]
CURVES = [f"tone_curve.{channel}" for channel in ("rgb", "red", "green", "blue")]
_OTHERS = (*SPATIAL, "temperature_kelvin", "tone_curve", "hsl")
PLAIN = [slider.name for slider in fields(Adjustments) if slider.name not in _OTHERS]
GLOBAL = [*PLAIN, "temperature_kelvin", *CURVES, *HSL]
EVERY = [*GLOBAL, *SPATIAL]


def moved(slider: str, percent: float) -> Adjustments:
    """Move one slider to this percent of its range, -100..100; an exposure of 5 EV is 100."""
    value: Any = percent
    if slider == "exposure":
        value = percent / 20
    elif slider == "temperature_kelvin":
        value = 1e6 / (1e6 / 6504 - percent)
    elif slider in CURVES:
        value = ((0, 0), (0.5, 0.5 + percent / 250), (1, 1))
    for name in reversed(slider.split(".")):
        value = {name: value}
    return read_adjustments(value)


def every(percent: float) -> Adjustments:
    """Move every slider of the LUT to this percent, temperature in its own unit."""
    curve = moved("tone_curve.rgb", percent).tone_curve.rgb
    hue = HueAdjustment(hue=percent, saturation=percent, luminance=percent)
    plain = {name: getattr(moved(name, percent), name) for name in PLAIN}
    return Adjustments(
        **plain,
        tone_curve=ToneCurve(rgb=curve, red=curve, green=curve, blue=curve),
        hsl=Hsl(*[hue] * len(HUES)),
    )
