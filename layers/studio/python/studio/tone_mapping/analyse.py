"""What a picture looks like, in numbers, from a small proxy of it."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.colour import largest, luminance, ramp, smallest, sorted_values, to_encoded, to_lab, to_linear

PROXY_SIDE = 384
MONOCHROME = 3  # 90th percentile of CIELAB chroma below which a picture has no colours
PERCENTS = (0.1, 0.5, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9)

_HISTOGRAM_BINS = 64
_CLIPPED = 253.5 / 255
# A bar of a frame: by how many codes of 8 bits its pixels differ at most, those of the picture at least, and in what
# share of the row beside it. Behind an object on plain ground, that row is mostly ground.
_BAR_NOISE, _BAR_EDGE, _BAR_SHARE = 4, 12, 0.25
_RINGING = 8  # rows of a bar that a JPEG spoils where it ends: half a block of 16 in a picture of twice this size
_LEAST_FRAMED = 1 / 4  # of the height and of the width: what is smaller is no framed picture
_SPECK = 0.1  # of full, encoded, that a hot or dead pixel differs by at least from all around it
_AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
_GROUND_SHARE = 0.95  # of the pixels of a side


class Cast(NamedTuple):
    """Colour of the light as one estimator sees it, in EV: red over blue, and green over both."""

    warm: float
    green: float


class Analysis(NamedTuple):
    """Statistics of a picture; tones are display-encoded 0..1.

    Attributes
    ----------
    luma, brightest : dict[float, float]
        Percentiles (`PERCENTS`) of encoded luminance and of the largest channel.
    luma_mean : float
        Mean of encoded luminance.
    clipped_high, blown, clipped_low : float
        Shares of pixels, 0..1: any channel full, all channels full, all channels empty.
    chroma_mean, chroma_90 : float
        CIELAB chroma: mean and 90th percentile.
    casts : dict[str, Cast]
        The light by each white-balance estimator; empty where there is nothing to judge by.
    cast : Cast
        The mean of the two best.
    cast_spread : float
        How far they differ, in EV.
    low_key, high_key, night : float
        How far the picture means to be dark, bright, or is a night scene: 0..1.
    on_white : bool
        Whether three of its sides are white, as around what was photographed or scanned on white ground.
    histogram : tuple[float, ...]
        Shares of pixels in 64 equal steps of encoded luminance.
    """

    luma: dict[float, float]
    brightest: dict[float, float]
    luma_mean: float
    clipped_high: float
    blown: float
    clipped_low: float
    chroma_mean: float
    chroma_90: float
    casts: dict[str, Cast]
    cast: Cast
    cast_spread: float
    low_key: float
    high_key: float
    night: float
    on_white: bool
    histogram: tuple[float, ...]

    def statistics(self) -> dict[str, Any]:
        """Return the part that an answer shows, ready for JSON."""
        return {
            "luma_mean": round(self.luma_mean, 4),
            "luma_percentiles": {f"{percent:g}": round(value, 4) for percent, value in self.luma.items()},
            "clipped_high": round(self.clipped_high, 5),
            "clipped_low": round(self.clipped_low, 5),
            "chroma_mean": round(self.chroma_mean, 2),
            "histogram": [round(share, 5) for share in self.histogram],
        }


def make_proxy(pixels: NDArray[Any]) -> NDArray[Any]:
    """Shrink a picture to `PROXY_SIDE` pixels at most, of the same type.

    Larger pictures are first thinned to single pixels at twice that size: the cost does not grow with theirs.

    Parameters
    ----------
    pixels : ndarray
        (h, w, 3), of any type that OpenCV resizes.

    Returns
    -------
    ndarray
        (h, w, 3); the picture itself where it is small enough.
    """
    longest = max(pixels.shape[:2])
    if longest <= PROXY_SIDE:
        return pixels
    height, width = (max(1, round(side * PROXY_SIDE / longest)) for side in pixels.shape[:2])
    if longest > 2 * PROXY_SIDE:
        pixels = cv2.resize(pixels, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def judged(proxy: NDArray[Any]) -> NDArray[Any]:
    """Leave out what is no part of what was photographed, and would have its say in exposure, contrast and colour.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3), uint8 or uint16, as `make_proxy` makes it; left as it is.

    Returns
    -------
    ndarray
        (h, w, 3): what a frame is around, or all, without specks.
    """
    return without_frame(without_specks(proxy))


def without_specks(proxy: NDArray[Any]) -> NDArray[Any]:
    """Bring hot and dead pixels to the nearest value around them, channel by channel.

    One full pixel tells that the light reached full, and a dark picture was given half a stop less.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3), uint8 or uint16; left as it is.

    Returns
    -------
    ndarray
        Of the same shape and type.
    """
    least = np.iinfo(proxy.dtype).max * _SPECK
    brightest = cv2.dilate(proxy, _AROUND, borderType=cv2.BORDER_REFLECT_101)
    darkest = cv2.erode(proxy, _AROUND, borderType=cv2.BORDER_REFLECT_101)
    mended = np.where(cv2.subtract(proxy, brightest) > least, brightest, proxy)
    return np.where(cv2.subtract(darkest, proxy) > least, darkest, mended)


def without_frame(proxy: NDArray[Any]) -> NDArray[Any]:
    """Leave out a frame: bars of one colour on opposite sides, as a letterbox has, or a dark mount.

    White all around is part of the picture: the ground of a product or the margins of a page, without which a box or a
    text would be taken for a picture with the wrong light.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3), uint8 or uint16, as `make_proxy` makes it.

    Returns
    -------
    ndarray
        (h, w, 3), a view: what the frame is around, or all where there is none.
    """
    if _is_on_white(smallest(proxy.transpose(2, 0, 1)), np.iinfo(proxy.dtype).max):
        return proxy
    return _without_bars(_without_bars(proxy).transpose(1, 0, 2)).transpose(1, 0, 2)


def _without_bars(pixels: NDArray[Any]) -> NDArray[Any]:
    """Leave out bars above and below."""
    unit = np.iinfo(pixels.dtype).max // 255
    colour = pixels[0, 0].astype(np.int32)

    def is_bar(row: NDArray[Any]) -> bool:
        return bool((np.abs(row - colour) <= _BAR_NOISE * unit).all())

    def bar_rows(rows: NDArray[Any]) -> int:
        """Count the rows of a bar, and the one in which it and the picture are mixed."""
        count = next((number for number, row in enumerate(rows) if not is_bar(row)), 0)
        for number, row in enumerate(rows[count : count + _RINGING] if count else (), count + 1):
            beside = np.abs(row - colour).max(axis=1) > _BAR_EDGE * unit
            if np.count_nonzero(beside) >= _BAR_SHARE * len(beside):
                return number
        return 0

    if not is_bar(pixels[-1]):
        return pixels
    above, below = bar_rows(pixels), bar_rows(pixels[::-1])
    if not above or not below or len(pixels) - above - below < _LEAST_FRAMED * len(pixels):
        return pixels
    return pixels[above : len(pixels) - below]


def analyse_proxy(proxy: NDArray[Any]) -> Analysis:
    """Analyse pixels as they are.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3) BGR, uint8 or uint16, as `make_proxy` makes it.

    Returns
    -------
    Analysis
    """
    # A quarter of the pixels gives the same statistics.
    encoded = proxy[::2, ::2].astype(np.float32) / np.iinfo(proxy.dtype).max
    # A plane a channel, red first: numpy is several times faster on those than on triples.
    blue, green, red = cv2.split(encoded)
    planes = np.stack([red, green, blue])
    linear = to_linear(planes)
    luma = to_encoded(luminance(linear))
    chroma = np.hypot(*to_lab(linear)[1:])
    brightest, darkest = largest(planes), smallest(planes)

    casts = _casts(linear, luma, brightest)
    cast, spread = _consensus(casts)
    luma_at, brightest_at = _percentiles(luma), _percentiles(brightest)
    low_key, high_key, night = _key(luma_at, brightest_at)
    bins = np.minimum((luma * _HISTOGRAM_BINS).astype(np.uint8), _HISTOGRAM_BINS - 1)
    histogram = np.bincount(bins.ravel(), minlength=_HISTOGRAM_BINS) / luma.size
    return Analysis(
        luma=luma_at,
        brightest=brightest_at,
        luma_mean=float(luma.mean()),
        clipped_high=float((brightest >= _CLIPPED).mean()),
        blown=float((darkest >= _CLIPPED).mean()),
        clipped_low=float((brightest <= 1 - _CLIPPED).mean()),
        chroma_mean=float(chroma.mean()),
        chroma_90=float(_at(sorted_values(chroma), 90)),
        casts=casts,
        cast=cast,
        cast_spread=spread,
        low_key=low_key,
        high_key=high_key,
        night=night,
        on_white=_is_on_white(darkest, 1),
        histogram=tuple(histogram.tolist()),
    )


def _is_on_white(darkest: NDArray[Any], full: float) -> bool:
    sides = (darkest[0], darkest[-1], darkest[:, 0], darkest[:, -1])
    return sum(np.count_nonzero(side >= _CLIPPED * full) >= _GROUND_SHARE * side.size for side in sides) >= 3


def _percentiles(values: NDArray[np.float32]) -> dict[float, float]:
    ordered = sorted_values(values)
    return {percent: _at(ordered, percent) for percent in PERCENTS}


def _at(ordered: NDArray[np.float32], percent: float) -> float:
    return float(ordered[round(percent / 100 * (len(ordered) - 1))])


def _key(luma: dict[float, float], brightest: dict[float, float]) -> tuple[float, float, float]:
    """Low key, high key and night, each 0..1.

    A dark picture with whites of its own means to be dark (exposure cannot be what it lacks), a bright one with blacks
    of its own means to be bright. Night is darkness over most of the picture with small lights.
    """
    low_key = ramp(0.40 - luma[50], 0, 0.2) * ramp(brightest[99], 0.75, 0.95)
    high_key = ramp(luma[50], 0.60, 0.75) * ramp(0.35 - luma[1], 0, 0.15)
    night = ramp(0.15 - luma[50], 0, 0.08) * ramp(brightest[99.9] - luma[90], 0.35, 0.6)
    return low_key, high_key, night


def _casts(linear: NDArray[np.float32], luma: NDArray[np.float32], brightest: NDArray[np.float32]) -> dict[str, Cast]:
    """Judge the colour of the light by pixels that are neither dark nor clipped; linear is (3, h, w), red first."""
    usable = (luma > 0.06) & (brightest < 0.97)
    if usable[1:, 1:].sum() < 0.05 * usable.size:
        return {}
    pixels, tones = _taken(linear, usable), luma[usable]
    ordered = sorted_values(tones)
    dark, bright, brightest_tones = (_at(ordered, percent) for percent in (3.5, 96.5, 97))
    ends = _taken(pixels, (tones <= dark) | (tones >= bright)).astype(np.float64)
    # Steps to the right and down, over the pixels that both start from.
    right = linear[:, 1:, 1:] - linear[:, 1:, :-1]
    down = linear[:, 1:, 1:] - linear[:, :-1, 1:]
    edges = _taken(right * right + down * down, usable[1:, 1:])
    return {
        # Finlayson & Trezzi 2004: Minkowski norm of 6.
        "shades_of_grey": _cast(_cube_mean(pixels * pixels) ** 0.5),
        # White patch, over the brightest 3 % instead of one pixel.
        "white_patch": _cast(_taken(pixels, tones >= brightest_tones).mean(1)),
        # Cheng, Prasad & Brown 2014: the first principal component of the darkest and brightest 3.5 %.
        "pca": _cast(np.abs(np.linalg.eigh(ends @ ends.T)[1][:, -1])),
        # van de Weijer, Gevers & Gijsenij 2007: shades of grey over the edges.
        "grey_edge": _cast(_cube_mean(edges) ** 0.5),
    }


def _taken(planes: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[Any]:
    """Take pixels of every plane: (3, ...) to (3, n). Several times faster than indexing by the mask."""
    return np.compress(where.ravel(), planes.reshape(3, -1), axis=1)


def _cube_mean(squares: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cubic mean of each plane, relative to the largest value so that small ones do not vanish."""
    relative = squares / np.maximum(squares.max(), np.float32(1e-12))
    raised = relative * relative * relative
    mean: NDArray[np.float64] = raised.mean(1, dtype=np.float64) ** (1 / 3)
    return mean


def _cast(light: NDArray[Any]) -> Cast:
    red, green, blue = np.log2(np.maximum(light, 1e-6)).tolist()
    return Cast(warm=red - blue, green=green - (red + blue) / 2)


def _consensus(casts: dict[str, Cast]) -> tuple[Cast, float]:
    """Mean of the two estimators that err least on photographs under known light, and how far any other is from it."""
    if not casts:
        return Cast(0.0, 0.0), 0.0
    points = np.array([(cast.warm, cast.green) for cast in casts.values()])
    best = np.array([(casts[name].warm, casts[name].green) for name in ("shades_of_grey", "grey_edge")]).mean(0)
    spread = np.hypot(*(points - best).T).max()
    return Cast(*best.tolist()), float(spread)
