"""The exact grade of a pixel: what every slider does. The LUT is nothing but this, sampled.

All stages work in linear light with Rec. 709 primaries on (3, n): a plane each of red, green and blue, which numpy
handles several times faster than triples. A stage whose sliders are zero is skipped, so that zero sliders are the
identity.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments

Array = NDArray[Any]  # float32 everywhere: numpy keeps it so next to Python's floats

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709

_KNEE = 0.7  # linear light above which a raised exposure rolls off
_TOE = 0.15  # softness of the black point, as a share of it
_TINY = 1e-6


def to_linear(encoded: Array) -> Array:
    """Decode sRGB (IEC 61966-2-1) to linear light, both 0..1."""
    power = ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, power)


def to_encoded(linear: Array) -> Array:
    """Encode linear light to sRGB (IEC 61966-2-1), both 0..1."""
    power = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, power)


def luminance(linear: Array) -> Array:
    """Weigh linear (3, ...) to Rec. 709 luminance, (...)."""
    red, green, blue = linear
    weighed: Array = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    return weighed


def _largest(linear: Array) -> Array:
    largest: Array = np.maximum(np.maximum(linear[0], linear[1]), linear[2])
    return largest


def _smallest(linear: Array) -> Array:
    smallest: Array = np.minimum(np.minimum(linear[0], linear[1]), linear[2])
    return smallest


def grade(rgb: Array, adjustments: Adjustments) -> Array:
    """Grade display-encoded sRGB.

    Parameters
    ----------
    rgb : ndarray of float32
        (..., 3), red first, 0..1.
    adjustments : Adjustments
        The sliders.

    Returns
    -------
    ndarray of float32
        (..., 3), 0..1.
    """
    linear = to_linear(np.ascontiguousarray(rgb.reshape(-1, 3).T))
    linear, peak = _white_balance(linear, adjustments)
    linear = _range_and_exposure(linear, peak, adjustments)
    linear = _tone_curve(linear, adjustments)
    linear = _colour(linear, adjustments)
    return np.clip(to_encoded(linear), 0, 1).T.reshape(rgb.shape)


def white_balance_gains(temperature: float, tint: float) -> Array:
    """Find gains of linear red, green and blue that keep the luminance of grey (von Kries in the RGB space itself)."""
    gains: Array = np.exp2(np.array([0.008 * temperature, -0.008 * tint, -0.008 * temperature], np.float32))
    gains /= gains @ LUMINANCE
    return gains


def _white_balance(linear: Array, adjustments: Adjustments) -> tuple[Array, float]:
    """Balance, and say what full white has become: the shoulder brings that back to 1."""
    if not (adjustments.temperature or adjustments.tint):
        return linear, 1.0
    gains = white_balance_gains(adjustments.temperature, adjustments.tint)[:, None]
    peak = float(gains.max())
    # A pixel that is full in all channels has lost its colour: it stays white instead of taking the gains' colour.
    blown = np.clip((_smallest(linear) - 0.85) / 0.15, 0, 1)
    return linear * (gains + (peak - gains) * blown * blown * (3 - 2 * blown)), peak


def _range_and_exposure(linear: Array, peak: float, adjustments: Adjustments) -> Array:
    """Black point, white point and exposure: one gain and offset, with a soft toe and a soft shoulder below `peak`."""
    if not (adjustments.exposure or adjustments.whites or adjustments.blacks) and peak == 1:
        return linear
    black_in, black_out = _code(0.0035 * max(-adjustments.blacks, 0)), _code(0.0020 * max(adjustments.blacks, 0))
    white_in = _code(1 - 0.0040 * max(adjustments.whites, 0))
    white_out = _code(1 - 0.0025 * max(-adjustments.whites, 0))
    gain = 2.0**adjustments.exposure / (white_in - black_in)
    peak = float(gain * _above_black(np.array(peak, np.float32), black_in))
    linear = _shoulder(gain * _above_black(linear, black_in), peak)
    return black_out + (white_out - black_out) * linear


def _code(encoded: float) -> float:
    return float(to_linear(np.array(encoded)))


def _above_black(linear: Array, black: float) -> Array:
    """Take the black point off by a hyperbola, zero at zero, that nears ``linear - black``."""
    if black == 0:
        return linear
    softness = 4 * (_TOE * black) ** 2
    floor = (math.sqrt(black * black + softness) - black) / 2
    above = linear - black
    bent: Array = (above + np.sqrt(above * above + softness)) / 2 - floor
    return bent


def _shoulder(linear: Array, peak: float) -> Array:
    """Compress [knee, peak] into [knee, 1], slope 1 at the knee; the curve rises with `peak` at every input."""
    if peak <= 1:
        return linear
    slope = (peak - _KNEE) / (1 - _KNEE)
    above = np.maximum(linear - _KNEE, 0) / (peak - _KNEE)
    rolled: Array = np.minimum(linear, _KNEE) + (1 - _KNEE) * slope * above / np.sqrt(
        1 + (slope**2 - 1) * above * above
    )
    return rolled


def _tone_curve(linear: Array, adjustments: Adjustments) -> Array:
    """Contrast, shadows and highlights: polynomials with fixed ends and bounded slope, one after the other.

    They bend the mean of luminance and the largest channel, display-encoded; the pixel is scaled by the ratio, which
    keeps its hue.
    """
    if not (adjustments.contrast or adjustments.shadows or adjustments.highlights):
        return linear
    norm = (luminance(linear) + _largest(linear)) / 2
    before = np.clip(to_encoded(norm), _TINY, 1)
    after = bend(before, adjustments)
    bent: Array = linear * (to_linear(after) / to_linear(before))
    bent /= np.maximum(_largest(bent), 1)  # a vivid colour brighter than its norm may pass the top
    return bent


def bend(tone: Array, adjustments: Adjustments) -> Array:
    """Bend display-encoded tones 0..1; the curve rises everywhere, its slope is bounded by 0.1 and 2.5 a slider."""
    tone = tone + 0.016 * adjustments.contrast * tone * (1 - tone) * (tone - 0.46)
    lift = 0.015 * max(adjustments.shadows, 0) + 0.0085 * min(adjustments.shadows, 0)
    tone = tone + lift * tone * (1 - tone) ** 2
    bent: Array = tone + 0.0085 * adjustments.highlights * tone**2 * (1 - tone)
    return bent


def _reach(linear: Array, grey: Array) -> Array:
    """Tell how far a colour is from grey, 0, towards the edge of the gamut at its luminance, 1."""
    up = (_largest(linear) - grey) / np.maximum(1 - grey, _TINY)
    down = (grey - _smallest(linear)) / np.maximum(grey, _TINY)
    reach: Array = np.maximum(up, down)
    return reach


def _colour(linear: Array, adjustments: Adjustments) -> Array:
    """Saturation and vibrance about luminance; what rises nears the gamut's edge and never leaves it."""
    if not (adjustments.saturation or adjustments.vibrance):
        return linear
    grey = luminance(linear)
    reach = np.clip(_reach(linear, grey), 0, 1)
    dullness = (1 - reach) * (1 - 0.5 * _skin(linear))
    amount = (1 + adjustments.saturation / 100) * (1 + 0.012 * adjustments.vibrance * dullness).clip(0)
    amount /= np.sqrt(1 + np.maximum(amount * amount - 1, 0) * reach * reach)
    coloured: Array = grey + (linear - grey) * amount
    return coloured


def _skin(linear: Array) -> Array:
    """Tell how like skin's a hue is, 0..1: red over green over blue, green about 40 % of the way up from blue."""
    red, green, blue = linear
    place = (green - blue) / np.maximum(red - blue, _TINY)
    return np.where(red > blue, np.clip(1 - np.abs(place - 0.4) / 0.3, 0, 1), 0)
