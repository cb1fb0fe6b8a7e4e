"""What a picture looks like, in numbers, from a small proxy of it."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.decode import Photo
from studio.tone_mapping.grade import to_encoded, to_linear

PROXY_SIDE = 512
PERCENTS = (0.1, 0.5, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9)

_HISTOGRAM_BINS = 64
_CLIPPED = 253.5 / 255


@dataclass(frozen=True)
class Cast:
    """Colour of the light as one estimator sees it, in EV: red over blue, and green over both."""

    warm: float
    green: float


@dataclass(frozen=True)
class Analysis:
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
        Their median.
    cast_spread : float
        How far they differ, in EV: median distance from the median.
    low_key, high_key, night : float
        How far the picture means to be dark, bright, or is a night scene: 0..1.
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
    histogram: tuple[float, ...]

    def statistics(self) -> dict[str, Any]:
        """The part that an answer shows, ready for JSON."""
        return {
            "luma_mean": round(self.luma_mean, 4),
            "luma_percentiles": {f"{percent:g}": round(value, 4) for percent, value in self.luma.items()},
            "clipped_high": round(self.clipped_high, 5),
            "clipped_low": round(self.clipped_low, 5),
            "chroma_mean": round(self.chroma_mean, 2),
            "histogram": [round(share, 5) for share in self.histogram],
        }


def make_proxy(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture of `PROXY_SIDE` pixels at most, of the same type.

    Very large pictures are first thinned to every k-th pixel, so that the cost does not grow with theirs.
    """
    longest = max(pixels.shape[:2])
    if longest <= PROXY_SIDE:
        return pixels
    step = max(1, longest // (4 * PROXY_SIDE))
    height, width = (max(1, round(side * PROXY_SIDE / longest)) for side in pixels.shape[:2])
    return cv2.resize(np.ascontiguousarray(pixels[::step, ::step]), (width, height), interpolation=cv2.INTER_AREA)


def analyse(photo: Photo) -> Analysis:
    """Analyse a decoded picture."""
    return analyse_proxy(make_proxy(photo.pixels))


def analyse_proxy(proxy: NDArray[Any]) -> Analysis:
    """Analyse pixels as they are: (h, w, 3) BGR, uint8 or uint16, a proxy's size."""
    scale = np.float32(1 / np.iinfo(proxy.dtype).max)
    encoded = proxy.reshape(-1, 3).astype(np.float32) * scale
    linear = to_linear(encoded)
    blue, green, red = linear.T
    luma = to_encoded(np.float32(0.2126) * red + np.float32(0.7152) * green + np.float32(0.0722) * blue)
    brightest, darkest = encoded.max(1), encoded.min(1)

    lab = cv2.cvtColor(encoded[None], cv2.COLOR_BGR2Lab)[0]
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    casts = _casts(linear[:, ::-1], luma, brightest, proxy.shape[:2])
    cast, spread = _consensus(list(casts.values()))
    luma_at = _percentiles(luma)
    brightest_at = _percentiles(brightest)
    histogram = np.bincount((luma * (_HISTOGRAM_BINS - 1e-3)).astype(np.intp), minlength=_HISTOGRAM_BINS)
    low_key, high_key, night = _key(luma_at, brightest_at)
    return Analysis(
        luma=luma_at,
        brightest=brightest_at,
        luma_mean=float(luma.mean()),
        clipped_high=float((brightest >= _CLIPPED).mean()),
        blown=float((darkest >= _CLIPPED).mean()),
        clipped_low=float((brightest <= 1 - _CLIPPED).mean()),
        chroma_mean=float(chroma.mean()),
        chroma_90=float(np.percentile(chroma, 90)),
        casts=casts,
        cast=cast,
        cast_spread=spread,
        low_key=low_key,
        high_key=high_key,
        night=night,
        histogram=tuple((histogram / len(luma)).tolist()),
    )


def _percentiles(values: NDArray[np.float32]) -> dict[float, float]:
    return dict(zip(PERCENTS, np.percentile(values, PERCENTS).tolist(), strict=True))


def _ramp(value: float, low: float, high: float) -> float:
    """0 at `low`, 1 at `high`, straight between."""
    return float(np.clip((value - low) / (high - low), 0, 1))


def _key(luma: dict[float, float], brightest: dict[float, float]) -> tuple[float, float, float]:
    """Low key, high key and night, each 0..1.

    A dark picture with whites of its own means to be dark (exposure cannot be what it lacks), a bright one with blacks
    of its own means to be bright. Night is darkness over most of the picture with small lights.
    """
    low_key = _ramp(0.40 - luma[50], 0, 0.2) * _ramp(brightest[99], 0.75, 0.95)
    high_key = _ramp(luma[50], 0.60, 0.75) * _ramp(0.35 - luma[1], 0, 0.15)
    night = _ramp(0.15 - luma[50], 0, 0.08) * _ramp(brightest[99.9] - luma[90], 0.35, 0.6)
    return low_key, high_key, night


def _casts(
    linear: NDArray[np.float32], luma: NDArray[np.float32], brightest: NDArray[np.float32], shape: tuple[int, ...]
) -> dict[str, Cast]:
    """The colour of the light over pixels that are neither dark nor clipped; linear is (n, 3), red first."""
    usable = (luma > 0.06) & (brightest < 0.97)
    if usable.mean() < 0.05:
        return {}
    pixels = linear[usable]
    relative = pixels / pixels.max()
    # Shades of grey: Finlayson & Trezzi 2004, Minkowski norm of 6.
    shades = (relative**6).mean(0) ** (1 / 6)
    # White patch, over a share of the brightest pixels instead of one.
    order = luma[usable]
    patch = pixels[order >= np.percentile(order, 97)].mean(0)
    # PCA of the brightest and darkest 3.5 %: Cheng, Prasad & Brown 2014.
    low, high = np.percentile(order, (3.5, 96.5))
    ends = pixels[(order <= low) | (order >= high)]
    principal = np.abs(np.linalg.eigh((ends.T @ ends).astype(np.float64))[1][:, -1])
    # Grey edge: van de Weijer, Gevers & Gijsenij 2007, first order, norm of 6.
    picture = linear.reshape(*shape, 3)
    edges = np.hypot(picture[1:, 1:] - picture[1:, :-1], picture[1:, 1:] - picture[:-1, 1:])
    edges = edges[usable.reshape(shape)[1:, 1:]]
    edge = (edges**6).mean(0) ** (1 / 6) if len(edges) else shades
    estimates = {"shades_of_grey": shades, "white_patch": patch, "pca": principal, "grey_edge": edge}
    return {name: _cast(light) for name, light in estimates.items()}


def _cast(light: NDArray[Any]) -> Cast:
    red, green, blue = np.log2(np.maximum(light, 1e-6)).tolist()
    return Cast(warm=red - blue, green=green - (red + blue) / 2)


def _consensus(casts: list[Cast]) -> tuple[Cast, float]:
    if not casts:
        return Cast(0.0, 0.0), 0.0
    points = np.array([(cast.warm, cast.green) for cast in casts])
    middle = np.median(points, axis=0)
    spread = np.median(np.hypot(*(points - middle).T))
    return Cast(*middle.tolist()), float(spread)
