"""The exact grade of a pixel: what every slider does. The LUT is nothing but this, sampled.

All stages work on (3, n): a plane each of red, green and blue, which numpy handles several times faster than triples.
Light is linear with Rec. 709 primaries, but for point curves and hues, which are display-encoded. A stage whose sliders
are at rest is skipped, so that sliders at rest are the identity.
"""

import math

import numpy as np

from studio.tone_mapping.adjustments import Adjustments, Hsl, ToneCurve
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
from studio.tone_mapping.curve import bend_by
from studio.tone_mapping.hsl import adjust_hues
from studio.tone_mapping.white_balance import white_balance_gains, white_balance_matrix

_KNEE = 0.5  # linear light above which a raised exposure rolls off
_TOE = 0.15  # softness of the black point, as a share of it


def grade(rgb: Array, adjustments: Adjustments) -> Array:
    """Grade display-encoded sRGB.

    Parameters
    ----------
    rgb : ndarray of float32
        (..., 3), red first, 0..1.
    adjustments : Adjustments
        The sliders; clarity, texture and dehaze are not of a pixel alone, and left out.

    Returns
    -------
    ndarray of float32
        (..., 3), 0..1.
    """
    planes = grade_light(to_linear(np.ascontiguousarray(rgb.reshape(-1, 3).T)), adjustments)
    return np.ascontiguousarray(planes.T).reshape(rgb.shape)


def grade_light(linear: Array, adjustments: Adjustments) -> Array:
    """Grade linear planes (3, n), which are left as they are, to display-encoded ones.

    Parameters
    ----------
    linear : ndarray of float32
        (3, n), red first, 0..1.
    adjustments : Adjustments
        As for `grade`.

    Returns
    -------
    ndarray of float32
        (3, n), 0..1.
    """
    linear, peak = _white_balance(linear, adjustments)
    linear = _range_and_exposure(linear, peak, adjustments)
    linear = _tone_curve(linear, adjustments)
    linear = _output_range(linear, adjustments)
    colour = adjustments.saturation or adjustments.vibrance
    if adjustments.tone_curve != ToneCurve() or adjustments.hsl != Hsl():
        encoded = np.clip(to_encoded(linear), 0, 1)
        encoded = _point_curves(encoded, adjustments.tone_curve)
        encoded = adjust_hues(encoded, adjustments.hsl)
        if not colour:
            return np.clip(encoded, 0, 1)
        linear = to_linear(encoded)
    if colour:
        linear = _colour(linear, adjustments)
    return np.clip(to_encoded(linear), 0, 1)


def _white_balance(linear: Array, adjustments: Adjustments) -> tuple[Array, float]:
    """Balance, and say what full white has become: the shoulder brings that back to 1."""
    if adjustments.temperature_kelvin is not None:
        matrix = white_balance_matrix(adjustments.temperature_kelvin, adjustments.tint)
        white = matrix.sum(axis=1)
        peak = float(np.maximum(matrix, 0).sum(axis=1).max())
        balanced = matrix @ linear
        balanced = into_gamut(balanced, luminance(balanced), peak)
    elif adjustments.temperature or adjustments.tint:
        white = white_balance_gains(adjustments.temperature, adjustments.tint)
        peak = float(white.max())
        balanced = white[:, None] * linear
    else:
        return linear, 1.0
    # A pixel that is full in all channels has lost its colour: it stays white instead of taking the light's colour. The
    # further white is moved, the earlier that begins, or skies that fade into white would tear. What the balance makes
    # neutral lies below that: its smallest channel is at most that share of full.
    begin = min(0.85, 0.425 + 0.5 * float(white.min() / white.max()))
    blown = np.clip((smallest(linear) - begin) / (1 - begin), 0, 1)
    return balanced + (peak * linear - balanced) * (blown * blown * (3 - 2 * blown)), peak


def _range_and_exposure(linear: Array, peak: float, adjustments: Adjustments) -> Array:
    """Exposure and what becomes black and white: a gain, with a soft toe and a soft shoulder below `peak`.

    Colours keep the hue that white balance alone gives them, at a lowered exposure that of its light before the
    shoulder. Were every channel rolled off by itself, skin and oranges would turn yellow as they near white, and skies
    cyan.
    """
    if not adjustments.exposure and adjustments.whites <= 0 <= adjustments.blacks and peak == 1:
        return linear
    black_in = _code(0.0035 * max(-adjustments.blacks, 0))
    full, peak = (float(_above_black(np.array(light, np.float32), black_in)) for light in (1, peak))
    gain = 2.0**adjustments.exposure / full
    linear = _above_black(linear, black_in)
    least, most = smallest(linear), largest(linear)
    # By as much as it is darkened, less is rolled off, channel by channel: clouds in warm light would turn olive.
    darker = min(2.0**adjustments.exposure, 1) / full
    balanced = _shoulder(darker * linear, darker * peak)
    low, high = (_shoulder(gain * end, gain * peak) for end in (least, most))
    if adjustments.whites > 0:
        white_in = 1 - 0.0030 * adjustments.whites
        rise = (1 - white_in) / white_in**3
        rising = _bright_gain(_norm(linear, most), rise)
        peak *= float(_bright_gain(np.array(peak, np.float32), rise))
        # A vivid colour rises less than white does: room for white may not darken it.
        low, high = (
            np.maximum(end, _shoulder(gain * (bright * rising), gain * peak))
            for end, bright in ((low, least), (high, most))
        )
    return _between(low, high, balanced)


def _between(low: Array, high: Array, planes: Array) -> Array:
    """Give planes another smallest and largest channel; the middle one keeps its place between them, and so the hue.

    So does RefBaselineRGBTone of Adobe's DNG SDK 1.4.
    """
    least, most = smallest(planes), largest(planes)
    placed: Array = low + (planes - least) * ((high - low) / np.maximum(most - least, TINY))
    return placed


def _output_range(linear: Array, adjustments: Adjustments) -> Array:
    """Lift black and lower white: after the tone curve, whose fixed ends are black and white as they were."""
    if adjustments.whites >= 0 >= adjustments.blacks:
        return linear
    white = 1.0
    if adjustments.whites < 0:
        fall = 0.0025 * adjustments.whites
        linear = linear * _bright_gain(_norm(linear, largest(linear)), fall)
        white = _code(1 + fall)
    black = _code(0.0020 * max(adjustments.blacks, 0))
    return black + (1 - black / white) * linear


def _norm(linear: Array, most: Array) -> Array:
    """Mean of luminance and the largest channel, `most`: what tones are told by."""
    norm: Array = np.maximum((luminance(linear) + most) / 2, TINY)
    return norm


def _bright_gain(norm: Array, rise: float) -> Array:
    """Gain of light by which a display-encoded tone rises by ``rise * tone ** 3``: bright ones move, dark ones stay."""
    tone = to_encoded(norm)
    gain: Array = to_linear(tone + rise * (tone * tone * tone)) / norm
    return gain


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
    most = largest(linear)
    norm = np.minimum(_norm(linear, most), 1)
    gain = to_linear(bend(to_encoded(norm), adjustments)) / norm
    # A vivid colour, brighter than its norm, may pass the top: it is scaled back, which keeps it vivid.
    bent: Array = linear * (gain / np.maximum(most * gain, 1))
    return bent


def bend(tone: Array, adjustments: Adjustments) -> Array:
    """Bend display-encoded tones 0..1; the curve rises everywhere, its slope is bounded by 0.1 and 2.5 a slider.

    Parameters
    ----------
    tone : ndarray of float32
        Of any shape.
    adjustments : Adjustments
        Of which contrast, shadows and highlights count.

    Returns
    -------
    ndarray of float32
        Of the same shape, 0..1.
    """
    tone = tone + 0.016 * adjustments.contrast * tone * (1 - tone) * (tone - 0.46)
    lift = 0.015 * max(adjustments.shadows, 0) + 0.0085 * min(adjustments.shadows, 0)
    dark = 1 - tone
    tone = tone + lift * tone * (dark * dark * dark)
    lift = 0.009 * max(adjustments.highlights, 0) + 0.013 * min(adjustments.highlights, 0)
    bent: Array = tone + lift * (tone * tone * tone) * (1 - tone)
    return bent


def _point_curves(encoded: Array, curve: ToneCurve) -> Array:
    """Send display-encoded planes through the curve of all channels, then through each channel's own.

    The first of them keeps hue.
    """
    if curve.rgb:
        low, high = (bend_by(curve.rgb, end) for end in (smallest(encoded), largest(encoded)))
        encoded = np.clip(_between(low, high, encoded), 0, 1)
    own = (curve.red, curve.green, curve.blue)
    if any(own):
        encoded = np.stack(
            [bend_by(points, plane) if points else plane for points, plane in zip(own, encoded, strict=True)]
        )
    return encoded


def _colour(linear: Array, adjustments: Adjustments) -> Array:
    """Saturation and vibrance about luminance; what rises nears the gamut's edge and never leaves it."""
    grey = luminance(linear)
    far = np.clip(gamut_fraction(linear, grey), 0, 1)
    dullness = (1 - far) * (1 - 0.5 * _skin(linear))
    amount = (1 + adjustments.saturation / 100) * (1 + 0.012 * adjustments.vibrance * dullness).clip(0)
    return saturate(linear, grey, amount, far)


def _skin(linear: Array) -> Array:
    """Tell how like skin's a hue is, 0..1: red over green over blue, green about 40 % of the way up from blue."""
    red, green, blue = linear
    place = (green - blue) / np.maximum(red - blue, TINY)
    return np.where(red > blue, np.clip(1 - np.abs(place - 0.4) / 0.3, 0, 1), 0)
