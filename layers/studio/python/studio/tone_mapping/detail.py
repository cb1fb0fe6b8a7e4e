"""The spatial sliders: texture, clarity and dehaze.

They are worked out on small copies of the picture, whose sides are fixed, so that the same sliders give the same
picture at every size; what the copies say is looked up at full size, strip by strip, on every core.

Texture and clarity change luminance by a factor that all channels share, which keeps hue and neutral. With tone `y`,
0..1, and contrast `m` about it the factor is ``1 + 4 * (1 - y) * m``: it adds ``m`` in mid-tones and falls off to
nothing at black and at white.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.colour import LUMINANCE, Array
from studio.tone_mapping.guided import STRIP, Enlarged, guided_coefficients, shrink

_TEXTURE_SIDE = 2048
_FINEST, _COARSEST = 0.8, 3.5  # deviations of the Gaussians between which texture lies, in pixels at that side
_TEXTURE_LIMIT = 0.06  # contrast from which on texture counts as an edge
_TEXTURE_GAIN = 1.6  # at 100
_TEXTURE_LOSS = 0.8  # at -100

_CLARITY_SIDE = 512
_CLARITY_RADIUS = 0.02  # of the longer side
_CLARITY_EDGE = 0.006  # variance
_CLARITY_GAIN = 1.0
_CLARITY_LOSS = 0.7

_DARK_RADIUS, _OPENED_RADIUS, _REFINED_RADIUS = 0.012, 0.03, 0.04  # of the longer side
_REFINED_EDGE = 0.001
_MOST_HAZE = 0.93  # share of the haze that goes at 100
_LEAST_TRANSMISSION = 0.3
_LEAST_AIRLIGHT = 0.35
# Distance from the airlight, in tone, at which haze is taken off by half: what differs less is rather a pale backdrop
# or a sky than something behind haze.
_NEAR = np.float32(0.07)


class _Haze(NamedTuple):
    """What the air adds: ``seen = scene * transmission + airlight * (1 - transmission)``.

    The transmission is a plane over luminance, place by place: ``slope * luminance + offset``.
    """

    slope: Array  # (h, w) of a small copy
    offset: Array
    airlight: list[np.float32]  # blue, green, red, 0..1
    light: np.float32  # its luminance
    amount: float  # -1..1


class _Plan(NamedTuple):
    haze: _Haze | None
    haze_slope: Enlarged | None
    haze_offset: Enlarged | None
    base_slope: Enlarged | None
    base_offset: Enlarged | None
    clarity: np.float32
    texture: Enlarged | None


def apply_detail(
    pixels: Array, clarity: float = 0, texture: float = 0, dehaze: float = 0, threads: int | None = None
) -> NDArray[np.uint16]:
    """Apply the spatial sliders.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16
        (h, w, 3) BGR, display-encoded.
    clarity : float
        -100..100: local contrast of mid-tones over 2 % of the longer side. Below 0 softens.
    texture : float
        -100..100: contrast of small things, of some 2 to 8 pixels where the longer side has 2048. Below 0 smooths.
    dehaze : float
        -100..100: takes haze away by the dark channel (Kaiming He, Jian Sun and Xiaoou Tang, "Single Image Haze
        Removal Using Dark Channel Prior", IEEE TPAMI 33(12), 2011); below 0 adds it.
    threads : int | None
        Cores to use; all of them by default. The answer is the same for any number.

    Returns
    -------
    ndarray of uint16
        (h, w, 3) BGR; 8 bits become 16, for the caller to dither. With all sliders at 0 the pixels, exactly.
    """
    scale = np.uint16(257 if pixels.dtype == np.uint8 else 1)
    if not (clarity or texture or dehaze):
        return pixels.astype(np.uint16) * scale
    plan = _plan(pixels, clarity / 100, texture / 100, dehaze / 100)
    height = len(pixels)
    answer = np.empty(pixels.shape, np.uint16)

    def work(top: int) -> None:
        bottom = min(top + STRIP, height)
        answer[top:bottom] = _strip(pixels[top:bottom], top, bottom, plan)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        list(pool.map(work, range(0, height, STRIP)))
    return answer


def _plan(pixels: Array, clarity: float, texture: float, dehaze: float) -> _Plan:
    """Look at small copies of the picture."""
    height, width = pixels.shape[:2]
    planes = _planes(shrink(pixels, _TEXTURE_SIDE if texture else _CLARITY_SIDE))
    small = [shrink(plane, _CLARITY_SIDE) for plane in planes]
    tone, small_tone = _luminance(planes), _luminance(small)
    haze = _find_haze(small, small_tone, dehaze) if dehaze else None
    if haze is not None:
        tone = _cleared_tone(tone, haze)
        small_tone = _cleared_tone(small_tone, haze)

    def enlarged(plane: Array | None) -> Enlarged | None:
        return None if plane is None else Enlarged(plane, height, width)

    base_slope = base_offset = None
    if clarity:
        radius = max(1, round(_CLARITY_RADIUS * max(small_tone.shape)))
        base_slope, base_offset = guided_coefficients(small_tone, radius, _CLARITY_EDGE)
    return _Plan(
        haze=haze,
        haze_slope=enlarged(haze.slope if haze else None),
        haze_offset=enlarged(haze.offset if haze else None),
        base_slope=enlarged(base_slope),
        base_offset=enlarged(base_offset),
        clarity=np.float32(clarity * (_CLARITY_GAIN if clarity > 0 else _CLARITY_LOSS)),
        texture=enlarged(_texture(tone, texture) if texture else None),
    )


def _planes(pixels: Array) -> list[Array]:
    """Blue, green and red as float32, 0..1."""
    scale = 1 / np.iinfo(pixels.dtype).max
    return [plane.astype(np.float32) * np.float32(scale) for plane in cv2.split(pixels)]


def _luminance(planes: list[Array]) -> Array:
    blue, green, red = planes
    tone: Array = LUMINANCE[2] * blue
    tone += LUMINANCE[1] * green
    tone += LUMINANCE[0] * red
    return tone


def _texture(tone: Array, amount: float) -> Array:
    """Contrast to add: the band between two blurs, with strong edges, which would ring, held down."""
    scale = max(tone.shape) / _TEXTURE_SIDE
    band = _gaussian(tone, _FINEST * scale) - _gaussian(tone, _COARSEST * scale)
    limited: Array = band / (1 + np.square(band * np.float32(1 / _TEXTURE_LIMIT)))
    limited *= np.float32(amount * (_TEXTURE_GAIN if amount > 0 else _TEXTURE_LOSS))
    return limited


def _gaussian(plane: Array, deviation: float) -> Array:
    if deviation < 0.2:
        return plane
    side = 2 * int(np.ceil(2.5 * deviation)) + 1
    return cv2.GaussianBlur(plane, (side, side), deviation, borderType=cv2.BORDER_REFLECT_101)


def _find_haze(planes: list[Array], tone: Array, amount: float) -> _Haze:
    darkest = _darkest(planes, cv2.MORPH_ERODE, _DARK_RADIUS)
    # Airlight: the mean colour of the haziest thousandth of the picture, half way to grey, since as often as not that
    # is the palest thing in a picture without haze.
    count = max(1, darkest.size // 1000)
    haziest = np.argpartition(darkest.ravel(), -count)[-count:]
    colour = np.array([plane.ravel()[haziest].mean() for plane in planes])
    airlight = [np.float32(max(value, _LEAST_AIRLIGHT)) for value in (colour + colour.mean()) / 2]
    # Opened, and not only eroded, or a sky would have less haze beside dark things than elsewhere, and glow there. What
    # is pale and narrow stays out of it by a larger square.
    shares = [plane / light for plane, light in zip(planes, airlight, strict=True)]
    dark = _darkest(shares, cv2.MORPH_OPEN, _OPENED_RADIUS)
    transmission = np.clip(1 - np.float32(_MOST_HAZE) * dark, 0, 1)
    refined = max(1, round(_REFINED_RADIUS * max(tone.shape)))
    light = np.float32(_luminance([np.array(value) for value in airlight]))
    return _Haze(*guided_coefficients(tone, refined, _REFINED_EDGE, transmission), airlight, light, amount)


def _darkest(planes: list[Array], operation: int, radius: float) -> Array:
    """Find the dark channel: the least of all channels within a square."""
    side = 2 * max(1, round(radius * max(planes[0].shape))) + 1
    least = cv2.min(cv2.min(planes[0], planes[1]), planes[2])
    return cv2.morphologyEx(least, operation, np.ones((side, side), np.uint8))


def _clearing(tone: Array, slope: Array, offset: Array, haze: _Haze) -> Array:
    """Find the factor about the airlight that takes haze away (above 1), or adds some (below)."""
    transmission = slope * tone
    transmission += offset
    np.clip(transmission, _LEAST_TRANSMISSION, 1, out=transmission)
    if haze.amount > 0:
        factor: Array = 1 / (1 - np.float32(haze.amount) * (1 - transmission))
        distance = np.abs(tone - haze.light)
        factor -= 1
        factor *= distance / (distance + _NEAR)
        factor += 1
    else:  # the more, the more there is already, but some everywhere
        factor = 1 + np.float32(0.6 * haze.amount) * (1 - np.float32(0.5) * transmission)
    return factor


def _cleared_tone(tone: Array, haze: _Haze) -> Array:
    height, width = tone.shape
    slope, offset = (Enlarged(plane, height, width).rows(0, height) for plane in (haze.slope, haze.offset))
    cleared: Array = np.clip((tone - haze.light) * _clearing(tone, slope, offset, haze) + haze.light, 0, 1)
    return cleared


def _strip(pixels: Array, top: int, bottom: int, plan: _Plan) -> Array:
    planes = _planes(pixels)
    tone = _luminance(planes)
    if plan.haze is not None and plan.haze_slope is not None and plan.haze_offset is not None:
        slope, offset = plan.haze_slope.rows(top, bottom), plan.haze_offset.rows(top, bottom)
        factor = _clearing(tone, slope, offset, plan.haze)
        for plane, light in zip(planes, plan.haze.airlight, strict=True):
            plane -= light
            plane *= factor
            plane += light
            np.clip(plane, 0, 1, out=plane)
        tone = _luminance(planes)
    factor = np.zeros_like(tone)
    if plan.base_slope is not None and plan.base_offset is not None:
        base = plan.base_slope.rows(top, bottom)
        base *= tone
        base += plan.base_offset.rows(top, bottom)
        np.subtract(tone, base, out=factor)
        factor *= plan.clarity
    if plan.texture is not None:
        factor += plan.texture.rows(top, bottom)
    np.subtract(1, tone, out=tone)
    factor *= tone
    factor *= 4
    factor += 1
    # No channel passes full: that would turn the hue.
    largest = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    np.maximum(largest, np.float32(1e-6), out=largest)
    np.divide(1, largest, out=largest)
    np.minimum(factor, largest, out=factor)
    factor *= np.float32(65535)
    return cv2.merge([cv2.multiply(plane, factor, dtype=cv2.CV_16U) for plane in planes])
