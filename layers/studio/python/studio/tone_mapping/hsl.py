"""Sliders by hue: hue, saturation and luminance of eight ranges that blend into each other.

Hue is that of HSV, on display-encoded RGB. Every effect shrinks with a pixel's chroma, so that neutrals do not move.
"""

from functools import lru_cache

import numpy as np

from studio.tone_mapping.adjustments import Hsl
from studio.tone_mapping.colour import (
    TINY,
    Array,
    gamut_fraction,
    into_gamut,
    largest,
    luminance,
    saturate,
    smallest,
    to_encoded,
    to_linear,
)
from studio.tone_mapping.curve import StepTable, read_steps, step_table

# Degrees, of red … magenta in the order of Hsl's fields. Blue lies short of 240, for skies are at 200 to 220.
CENTRES = (0, 30, 60, 120, 180, 225, 270, 300)
_NEXT = (*CENTRES[1:], 360)
_GAPS = np.array(_NEXT) - CENTRES
_WAY = 0.6  # of a gap: below 2 / pi, the most that a raised cosine allows without hues passing each other
_STEPS = 256  # of a table, a sextant
_FAINT = 0.15  # chroma at which luminance sliders have half of their effect
_BRIGHTEN, _DARKEN = 0.5, 0.4


def adjust_hues(encoded: Array, hsl: Hsl) -> Array:
    """Apply the sliders to display-encoded planes (3, n), 0..1.

    Parameters
    ----------
    encoded : ndarray of float32
        (3, n), red first.
    hsl : Hsl

    Returns
    -------
    ndarray of float32
        (3, n), 0..1.
    """
    if hsl == Hsl():
        return encoded
    hues, amounts, lifts = _tables(hsl)
    low, high = smallest(encoded), largest(encoded)
    chroma = high - low
    place = _hue(encoded, high, chroma) * _STEPS
    index = place.astype(np.intp)
    part = place - index.astype(np.float32)
    if hues is not None:
        encoded = low + chroma * _vivid(read_steps(hues, index, part))
    if amounts is not None:
        # The grey of the same light, as for the slider of all colours: luma would make vivid reds and blues dark.
        grey = to_encoded(luminance(to_linear(encoded)))
        encoded = saturate(encoded, grey, read_steps(amounts, index, part), gamut_fraction(encoded, grey).clip(0, 1))
    if lifts is not None:
        luma = luminance(encoded)
        lift = read_steps(lifts, index, part) * (chroma * chroma / (chroma * chroma + _FAINT**2))
        gain = 1 + lift * np.where(lift > 0, _BRIGHTEN * (1 - luma), _DARKEN)
        encoded = into_gamut(encoded * gain, luma * gain)
    return encoded


def _hue(encoded: Array, high: Array, chroma: Array) -> Array:
    """HSV's hue in sextants, 0..6: 0 is red, 2 green, 4 blue."""
    red, green, blue = encoded
    scale = 1 / np.maximum(chroma, TINY)
    hue: Array = np.where(
        high == red,
        (green - blue) * scale,
        np.where(high == green, 2 + (blue - red) * scale, 4 + (red - green) * scale),
    )
    return np.where(hue < 0, hue + 6, hue)


def _vivid(hue: Array) -> Array:
    """Return the fully saturated colour, (3, n), of a hue in sextants, -6..12."""
    hue = hue - 6 * np.floor(hue / 6)  # numpy's remainder takes five times as long
    planes = np.stack([np.abs(hue - 3) - 1, 2 - np.abs(hue - 2), 2 - np.abs(hue - 4)])
    vivid: Array = np.clip(planes, 0, 1, out=planes)
    return vivid


def weights(degrees: Array) -> Array:
    """Share of every range, (8, n), in hues 0..360: raised cosines from centre to centre, 1 in sum.

    Parameters
    ----------
    degrees : ndarray
        (n,).

    Returns
    -------
    ndarray of float64
        (8, n), in the order of `CENTRES`.
    """
    left = np.searchsorted(CENTRES, degrees, side="right") - 1
    rise = (1 - np.cos(np.pi * (degrees - np.array(CENTRES)[left]) / _GAPS[left])) / 2
    shares = np.zeros((8, len(degrees)))
    at = np.arange(len(degrees))
    shares[left, at] = 1 - rise
    shares[(left + 1) % 8, at] = rise
    return shares


def hue_turns(hsl: Hsl) -> Array:
    """Degrees that each range's centre turns by.

    Neighbours that come towards each other share the way, so that no hue passes another.

    Parameters
    ----------
    hsl : Hsl

    Returns
    -------
    ndarray of float64
        (8,), in the order of `CENTRES`.
    """
    wishes = np.array([sliders.hue for sliders in hsl.ranges]) / 100
    ahead, back = np.maximum(wishes, 0), np.maximum(-wishes, 0)
    crowd = np.maximum(ahead + np.roll(back, -1), 1)  # in the gap after each range
    turns: Array = _WAY * (_GAPS * ahead / crowd - np.roll(_GAPS, 1) * back / np.roll(crowd, 1))
    return turns


@lru_cache(maxsize=16)
def _tables(hsl: Hsl) -> tuple[StepTable | None, StepTable | None, StepTable | None]:
    """Tabulate hues in sextants, amounts of saturation and lifts of luminance; None where all sliders are at rest."""
    degrees = np.linspace(0, 360, 6 * _STEPS + 1)
    shares = weights(degrees)

    def blended(values: Array, rest: Array | float, scale: float) -> StepTable | None:
        return step_table(rest + values @ shares * scale) if values.any() else None

    return (
        blended(hue_turns(hsl), degrees / 60, 1 / 60),
        blended(np.array([each.saturation for each in hsl.ranges]), 1, 1 / 100),
        blended(np.array([each.luminance for each in hsl.ranges]), 0, 1 / 100),
    )
