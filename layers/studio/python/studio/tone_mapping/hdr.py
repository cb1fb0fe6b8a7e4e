"""High dynamic range to display range: scene-linear light becomes display-encoded sRGB in 16 bits.

The luminance is split, in its logarithm, into a base that keeps edges and the detail on it, and only the base is
compressed (Frédo Durand and Julie Dorsey, "Fast Bilateral Filtering for the Display of High-Dynamic-Range Images",
SIGGRAPH 2002, with a guided filter for the bilateral one). How is told by the base's histogram: tones that fill much of
the picture keep more of their contrast, none gets more than it has (Gregory Ward Larson, Holly Rushmeier and Christine
Piatko, "A Visibility Matching Tone Reproduction Operator for High Dynamic Range Scenes", IEEE TVCG 3(4), 1997). The
exposure puts the mean where photographs have it, a shoulder rolls lights off, and colours keep their ratios. The
shoulder looks at the largest channel, too, for by luminance alone sunsets and stained glass would end up white.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.colour import LUMINANCE, Array, to_encoded
from studio.tone_mapping.guided import STRIP, Enlarged, blur, guided_coefficients, shrink
from studio.tone_mapping.scene_files import XYZ
from studio.tone_mapping.white_balance import bradford

_PROXY_SIDE = 768
_RADIUS = 0.02  # of the base's window, as a share of the longer side
_EDGE = 0.3  # variance in EV squared
_BRIGHTEST = np.float32(1e30)  # what infinity is taken for in sums
_ENDLESS = np.float32(1e24)  # light that is infinity, or was until other primaries shared it out
_GLARE = np.float32(2.0**16)  # above white; nothing brighter matters
_SPECK = 5  # pixels; what fills less than half of such a square of the small copy is no part of the median
_SPECK_CONTRAST = np.float32(8)  # to the median, at most
_RANGE = 6.5  # EV from black to white that the base is fitted into
_SCENE_RANGE = 17.0  # EV below white where the toe begins: what is darker is mostly noise
_TONES = 128  # steps of the curve
_LEAST_SLOPE = 0.15  # of the mean one
_MEAN = 0.455  # encoded: 116 of 255, which Yeganeh and Wang (2013) found to be the mean of photographs
_KEY = 0.06  # by which a scene's key moves it
_LOCAL_CONTRAST = 17.5 / 255  # deviation in squares of 11 pixels, likewise
_SQUARE = 11
_MOST_GAIN = 2.3  # of detail
_NOISE = 3  # times what is measured where there is least: it varies by chance, and pixels share it with neighbours
_LARGE_DETAIL = 0.8  # EV; what is larger is not raised
_FADING = 0.3  # of colour, where all contrast goes
_COLOUR = np.float32(0.25)  # share of the largest channel, beside luminance, in what the shoulder bends
_DAZZLE = np.float32(2)  # linear light where that is half of it
_KNEE = 0.6  # linear light where the shoulder begins

_NOISE_ONLY = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6

REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)


class _Curve(NamedTuple):
    """Base in EV to display in EV, both with 0 for white; straight beyond its ends."""

    start: float
    step: float
    values: Array

    def __call__(self, base: Array) -> Array:
        place = (base - np.float32(self.start)) * np.float32(1 / self.step)
        below = np.clip(place.astype(np.int32), 0, len(self.values) - 2)
        left = self.values[below]
        bent: Array = left + (place - below) * (self.values[below + 1] - left)
        return bent


class _Plan(NamedTuple):
    """All that a strip needs to know of the picture."""

    scale: np.float32  # makes white 1
    slope: Enlarged
    offset: Enlarged
    curve: _Curve
    gain: float
    texture: Enlarged  # share of detail that is no noise
    exposure: float
    saturation: np.float32


def tone_map(scene: Array, alpha: Array | None = None) -> NDArray[np.uint16]:
    """Compress a scene into what a display shows.

    Parameters
    ----------
    scene : ndarray of float32
        (h, w, 3) BGR, linear light, Rec. 709 primaries, any scale. Overwritten: what is not a number or negative
        becomes 0, infinity as bright as the brightest beside it.
    alpha : ndarray | None
        (h, w), 0..1: what is transparent has no say in the exposure.

    Returns
    -------
    ndarray of uint16
        (h, w, 3) BGR, display-encoded sRGB. Black for a picture without any light.
    """
    height = len(scene)
    mapped = np.zeros(scene.shape, np.uint16)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        strips = [slice(top, min(top + STRIP, height)) for top in range(0, height, STRIP)]
        peaks = list(pool.map(lambda rows: _mend(scene[rows]), strips))
        if max(peak for peak, _ in peaks) >= _ENDLESS:
            # A number far above all others would stand for infinity no better: means of areas would be as large.
            brightest = np.float32(max(finite for _, finite in peaks) or 1)
            list(pool.map(lambda rows: np.minimum(scene[rows], brightest, out=scene[rows]), strips))
        plan = _plan(scene, alpha)
        if plan is not None:
            list(pool.map(lambda rows: _map_strip(scene, mapped, rows, plan), strips))
    return mapped


def to_rec709(scene: Array, primaries: tuple[float, ...]) -> None:
    """Turn light of other primaries into that of Rec. 709, in place.

    Parameters
    ----------
    scene : ndarray of float32
        (h, w, 3) BGR, linear light.
    primaries : tuple of float
        x and y of red, green, blue and white. The white is adapted (Bradford), so that neutral stays neutral; but for
        CIE XYZ, which says of every colour what it is. What cannot be primaries is taken for Rec. 709's.
    """
    try:
        ours, theirs = _to_xyz(REC709), _to_xyz(primaries)
        matrix = np.linalg.inv(ours) @ _adaptation(primaries) @ theirs
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return
    if not np.isfinite(matrix).all() or np.abs(matrix - np.eye(3)).max() < 0.01:
        return
    turned = matrix[::-1, ::-1].T.astype(np.float32)
    for top in range(0, len(scene), STRIP):
        # Infinity would meet itself with another sign.
        scene[top : top + STRIP] = np.clip(scene[top : top + STRIP], -_BRIGHTEST, _BRIGHTEST) @ turned


def mend_green(scene: Array, primaries: tuple[float, ...]) -> None:
    """Mend the green of an OpenEXR that has luminance and chroma, in place.

    It is what red and blue leave of the luminance, by their shares in it (ImfRgbaYca.h of OpenEXR). OpenCV takes it by
    the y of the primaries instead.

    Parameters
    ----------
    scene : ndarray of float32
        (h, w, 3) BGR, linear light, as OpenCV reads it.
    primaries : tuple of float
        x and y of red, green, blue and white. What cannot be primaries is left as it is.
    """
    red, green, blue = primaries[1:6:2]
    try:
        red_share, green_share, blue_share = _to_xyz(primaries)[1]
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return
    if not green_share > 0:
        return
    weights = np.array([blue - blue_share, green, red - red_share], np.float32) / np.float32(green_share)
    for top in range(0, len(scene), STRIP):
        strip = scene[top : top + STRIP]
        green = strip @ weights
        green[np.isnan(green) & np.isinf(strip[..., 2])] = np.inf  # infinite luminance leaves infinity less infinity
        strip[..., 1] = green


def _to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """Find the matrix from RGB to XYZ (SMPTE RP 177)."""
    red, green, blue, white = (
        np.array([x / y, 1, (1 - x - y) / y]) if y else np.array([x, y, 1 - x - y])
        for x, y in zip(primaries[::2], primaries[1::2], strict=True)
    )
    columns = np.stack([red, green, blue], axis=1)
    matrix: NDArray[np.float64] = columns * np.linalg.solve(columns, white)
    return matrix


def _adaptation(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    if np.allclose(primaries[:6], XYZ[:6], atol=1e-3):
        return np.eye(3)
    source, target = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in (primaries[6:], REC709[6:]))
    return bradford(source, target)


def _mend(strip: Array) -> tuple[float, float]:
    """Take what is no light away; tell the brightest value, and the brightest that is not infinite."""
    np.clip(strip, 0, _BRIGHTEST, out=strip)
    strip[np.isnan(strip)] = 0
    peak = float(strip.max())
    return peak, peak if peak < _ENDLESS else float(strip[strip < _ENDLESS].max(initial=0))


def _luminance(bgr: Array) -> Array:
    weighed: Array = bgr @ LUMINANCE[::-1]
    return weighed


def _plan(scene: Array, alpha: Array | None) -> _Plan | None:
    """Look at a small copy of the scene; None where all is black."""
    height, width = scene.shape[:2]
    small = _without_specks(_luminance(shrink(_thinned(scene), _PROXY_SIDE)))
    counts = small > 0
    if alpha is not None:
        counts &= shrink(alpha, _PROXY_SIDE) > 0.5
    if not counts.any():
        counts = small > 0
    if not counts.any():
        return None
    white = max(float(np.percentile(small[counts], 99.9)), 1e-30)
    small = np.minimum(small / np.float32(white), _GLARE)
    log = _log(small)
    toe = np.log2(np.maximum(small, np.float32(1e-9))) - log
    slope, offset = guided_coefficients(log, max(1, round(_RADIUS * max(log.shape))), _EDGE)
    base = slope * log + offset
    detail = log - base
    curve, compression = _curve(base[counts])
    bent = curve(base)
    mean = _mean_of(log[counts])
    texture = _texture(log, detail, counts)
    gain = _gain(bent, detail, texture, toe, counts, mean)
    return _Plan(
        scale=np.float32(1 / white),
        slope=Enlarged(slope, height, width),
        offset=Enlarged(offset, height, width),
        curve=curve,
        gain=gain,
        texture=Enlarged(texture, height, width),
        exposure=_exposure((bent + _raised(detail, bent, texture, gain) + toe)[counts], mean),
        saturation=np.float32(1 - _FADING * (1 - compression)),
    )


def _thinned(scene: Array) -> Array:
    """Leave rows and columns of a large scene out, down to at most twice the small copy's size.

    A firefly (a pixel of a rendered scene that chance made far too bright) stays one pixel so. Means of all pixels
    would spread some thousand of them over the whole copy.
    """
    step = -(-max(scene.shape) // (2 * _PROXY_SIDE))
    return np.ascontiguousarray(scene[::step, ::step])


def _without_specks(luminance: Array) -> Array:
    """Bring what is much brighter than the median around it down to that; not where the median is black."""
    median = cv2.medianBlur(luminance, _SPECK)
    return np.where(median > 0, np.minimum(luminance, median * _SPECK_CONTRAST), luminance)


def _log(luminance: Array) -> Array:
    """EV below white, with a toe."""
    log: Array = np.log2(luminance + np.float32(2.0**-_SCENE_RANGE))
    return log


def _curve(base: Array) -> tuple[_Curve, float]:
    """Fit the base into the display's range; tell the mean slope, too."""
    darkest, brightest = (float(value) for value in np.percentile(base, [0.2, 99.8]))
    span = max(brightest - darkest, 0.01)
    step, compression = span / _TONES, min(1.0, _RANGE / span)
    counts, _ = np.histogram(base, _TONES, (darkest, darkest + span))
    # The root softens the histogram, and a blur of some tones its steps.
    kernel = np.exp(-((np.arange(-12, 13) / 4) ** 2) / 2)
    shares = np.sqrt(np.convolve(np.pad(counts, 12, "reflect"), kernel / kernel.sum(), "valid"))
    shares = shares / shares.mean() * compression
    low, high = 0.0, 1e3  # of the share that the histogram has; where no tone may gain contrast, all is straight
    for _ in range(40):
        share = (low + high) / 2
        slopes = np.minimum(_LEAST_SLOPE * compression + share * shares, 1)
        low, high = (share, high) if slopes.mean() < compression else (low, share)
    values = np.concatenate([[0], np.cumsum(slopes)]) * step
    return _Curve(darkest, step, (values - values[-1]).astype(np.float32)), compression


def _mean_of(log: Array) -> float:
    """Aim for the mean of photographs, darker for a low-key scene and brighter for a high-key one.

    The key is Reinhard's ("Parameter Estimation for Photographic Tone Reproduction", Journal of Graphics Tools 7(1),
    2002): where the mean lies between the darkest and the brightest, -1..1.
    """
    low, high = np.percentile(log, [1, 99])
    key = (2 * log.mean() - low - high) / max(high - low, 1)
    return float(_MEAN + _KEY * np.clip(key, -0.6, 0.6))


def _texture(log: Array, detail: Array, counts: NDArray[np.bool_]) -> Array:
    """Find which share of the detail is no noise, 0..1, by its variance nearby.

    The share is from Jong-Sen Lee, "Digital Image Enhancement and Noise Filtering by Use of Local Statistics", IEEE
    TPAMI 2(2), 1980; the noise from John Immerkær, "Fast Noise Variance Estimation", CVIU 64(2), 1996, but measured
    only where the picture is smoothest: elsewhere texture would count as noise.
    """
    variance, noise = (blur(plane * plane, _SQUARE // 2) for plane in (detail, cv2.filter2D(log, -1, _NOISE_ONLY)))
    share = np.float32(_NOISE * np.percentile(noise[counts], 10)) / np.maximum(variance, np.float32(1e-12))
    texture: Array = 1 - np.minimum(share, 1)
    return texture


def _raised(detail: Array, bent: Array, texture: Array, gain: float) -> Array:
    """Detail with its small swings raised, though neither noise nor what ends up nearly black."""
    if gain == 1:
        return detail
    seen = np.clip((bent + np.float32(_RANGE)) * np.float32(1 / 3), 0, 1) * texture
    raised: Array = detail * (1 + np.float32(gain - 1) * seen * np.exp(-np.square(detail / np.float32(_LARGE_DETAIL))))
    return raised


def _gain(bent: Array, detail: Array, texture: Array, toe: Array, counts: NDArray[np.bool_], mean: float) -> float:
    """Find the gain of detail that gives the local contrast of photographs; never below 1, within bounds."""
    if min(bent.shape) < _SQUARE:
        return 1.0
    low, high = 1.0, _MOST_GAIN
    for _ in range(5):
        gain = (low + high) / 2
        display = bent + _raised(detail, bent, texture, gain) + toe
        tones = _encoded_tones(display, _exposure(display[counts], mean))
        low, high = (gain, high) if _local_contrast(tones) < _LOCAL_CONTRAST else (low, gain)
    return (low + high) / 2


def _local_contrast(tones: Array) -> float:
    height, width = (side // _SQUARE for side in tones.shape)
    squares = tones[: height * _SQUARE, : width * _SQUARE].reshape(height, _SQUARE, width, _SQUARE)
    return float(squares.std(axis=(1, 3)).mean())


def _exposure(display: Array, mean: float) -> float:
    """Find the EV by which `display` (EV) has this mean when it is encoded."""
    some = display.ravel()[:: max(1, display.size // 20_000)]
    low, high = -16.0, 16.0
    for _ in range(20):
        exposure = (low + high) / 2
        low, high = (exposure, high) if _encoded_tones(some, exposure).mean() < mean else (low, exposure)
    return (low + high) / 2


def _encoded_tones(display: Array, exposure: float) -> Array:
    return to_encoded(_rolled_off(np.exp2(display + np.float32(exposure))))


def _rolled_off(light: Array) -> Array:
    """Bend linear light so that it nears 1 above the knee and never passes it."""
    above = np.maximum(light - np.float32(_KNEE), 0) * np.float32(1 / (1 - _KNEE))
    rolled: Array = np.minimum(light, np.float32(_KNEE)) + np.float32(1 - _KNEE) * above / np.sqrt(1 + above * above)
    return rolled


@cache
def _encoded_roots() -> NDArray[np.uint16]:
    """Tabulate the encoding of light by its square root, whose steps are finer where the dark needs them."""
    roots = np.arange(65536) / 65535
    table: NDArray[np.uint16] = np.rint(to_encoded(roots**2) * 65535).astype(np.uint16)
    return table


def _map_strip(scene: Array, mapped: NDArray[np.uint16], rows: slice, plan: _Plan) -> None:
    planes = [np.minimum(plane * plan.scale, _GLARE) for plane in cv2.split(scene[rows])]
    luminance = LUMINANCE[2] * planes[0] + LUMINANCE[1] * planes[1] + LUMINANCE[0] * planes[2]
    log = _log(luminance)
    base = plan.slope.rows(rows.start, rows.stop) * log + plan.offset.rows(rows.start, rows.stop)
    bent = plan.curve(base)
    texture = plan.texture.rows(rows.start, rows.stop)
    light = np.exp2(bent + _raised(log - base, bent, texture, plan.gain) + np.float32(plan.exposure))
    # The toe of the logarithm takes black itself to 0.
    luminance_or_toe = luminance + np.float32(2.0**-_SCENE_RANGE)
    largest = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    # What dazzles ends up white: there a sensor's clipping, too, makes colours up.
    share = _COLOUR / (1 + np.square(light / _DAZZLE))
    rolled = 1 + share * (largest / luminance_or_toe - 1)
    shown = _rolled_off(light * rolled) / (rolled * luminance_or_toe)
    # Luminance is kept and only what differs from it scaled: Rafał Mantiuk et al., "Color Correction for Tone
    # Mapping", Eurographics 2009, equation 3. A colour that passes full is brought nearer to grey, just so far that it
    # does not.
    grey = luminance * shown
    saturation = np.minimum((1 - grey) / np.maximum((largest - luminance) * shown, np.float32(1e-6)), plan.saturation)
    shown *= saturation
    grey *= 1 - saturation
    for plane in planes:
        plane *= shown
        plane += grey
        np.clip(plane, 0, 1, out=plane)
        np.sqrt(plane, out=plane)
        plane *= 65535
        plane += 0.5
    mapped[rows] = _encoded_roots()[cv2.merge(planes).astype(np.uint16)]
