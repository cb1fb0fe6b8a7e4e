"""The colour of the light, by where the colours of a picture fit those of good photographs best.

A cast in linear light moves every colour by the same step of log-chroma. To find it in a histogram of those is to find
a place, which a filter does wherever it is, and trees of statistics do not. `training/light_map.py` learns the filters.

References
----------
Barron, J. T. (2015). Convolutional color constancy. International Conference on Computer Vision, 379-387.
Barron, J. T. and Tsai, Y.-T. (2017). Fast Fourier color constancy. Computer Vision and Pattern Recognition, 886-894.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.colour import Array, largest, luminance, smallest, to_encoded, to_linear

BINS = 48  # either way; what is beyond the last goes into it
WARM_STEP, GREEN_STEP = 1 / 8, 1 / 16  # EV a bin: red against blue, green against both
DESCRIBED = 11  # numbers that `describe` gives
_DARKEST, _BRIGHTEST = 0.06, 0.97
_LEAST_STEP = 0.002  # in linear light: less is noise
_PLACES = np.fft.fftfreq(BINS, 1 / BINS)  # of each bin from the middle, in bins
_FAR = 3  # bins


def histograms(proxy: NDArray[Any]) -> NDArray[np.uint16]:
    """Count the colours of pixels, and of the steps between neighbours.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3) BGR, uint8 or uint16, as `make_proxy` makes it.

    Returns
    -------
    ndarray of uint16
        (2, `BINS`, `BINS`): red against blue downwards, green against both to the right.
    """
    encoded = proxy[::2, ::2].astype(np.float32) / np.float32(np.iinfo(proxy.dtype).max)
    planes = np.ascontiguousarray(encoded[..., ::-1].transpose(2, 0, 1))
    linear = to_linear(planes)
    usable = (to_encoded(luminance(linear)) > _DARKEST) & (largest(planes) < _BRIGHTEST)
    steps = [np.abs(np.diff(linear, axis=2))[:, :-1], np.abs(np.diff(linear, axis=1))[:, :, :-1]]
    beside = usable[:-1, :-1] & usable[1:, :-1] & usable[:-1, 1:]
    clear = [beside & (smallest(step) > _LEAST_STEP) for step in steps]
    return np.stack([_counted([linear], [usable]), _counted(steps, clear)])


def _counted(planes: list[Array], chosen: list[NDArray[np.bool_]]) -> NDArray[np.uint16]:
    kept = [np.compress(few.ravel(), one.reshape(3, -1), axis=1) for one, few in zip(planes, chosen, strict=True)]
    red, green, blue = np.log2(np.concatenate(kept, axis=1) + np.float32(1e-4))
    rows = np.clip((red - blue) / WARM_STEP + BINS / 2, 0, BINS - 1).astype(np.intp)
    columns = np.clip((green - (red + blue) / 2) / GREEN_STEP + BINS / 2, 0, BINS - 1).astype(np.intp)
    counts = np.bincount(rows * BINS + columns, minlength=BINS * BINS)
    return np.minimum(counts, 65535).astype(np.uint16).reshape(BINS, BINS)


def spectra(counts: NDArray[np.uint16]) -> NDArray[np.complex64]:
    """Transform histograms, by the square roots of their shares.

    Parameters
    ----------
    counts : ndarray of uint16
        (n, 2, `BINS`, `BINS`), of `histograms`.

    Returns
    -------
    ndarray of complex64
        (n, 2, `BINS`, `BINS` / 2 + 1).
    """
    shares = counts.astype(np.float32) / np.maximum(counts.sum((2, 3), keepdims=True), 1).astype(np.float32)
    transformed: NDArray[np.complex64] = np.fft.rfft2(np.sqrt(shares)).astype(np.complex64)
    return transformed


def scores(of: NDArray[np.complex64], filters: Array) -> NDArray[np.float64]:
    """Tell how well the colours fit, for every light that there may be.

    Parameters
    ----------
    of : ndarray of complex64
        Of `spectra`.
    filters : ndarray of float32
        (2, `BINS`, `BINS`).

    Returns
    -------
    ndarray of float64
        (n, `BINS`, `BINS`), the log-odds of each light: grey is at 0, 0, and what is below it at the end.
    """
    product = (of * np.conj(np.fft.rfft2(filters))).sum(1)
    fits: NDArray[np.float64] = np.fft.irfft2(product, s=(BINS, BINS))
    return fits


def probabilities(fits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn `scores` into probabilities.

    Parameters
    ----------
    fits : ndarray of float64
        (n, `BINS`, `BINS`).

    Returns
    -------
    ndarray of float64
        The same shape; each sums to 1.
    """
    odds = np.exp(fits - fits.max((1, 2), keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum((1, 2), keepdims=True)
    return shares


def describe(of: NDArray[np.complex64], filters: Array) -> Array:
    """Describe how probable each light is, in numbers.

    Parameters
    ----------
    of : ndarray of complex64
        Of `spectra`.
    filters : ndarray of float32
        (2, `BINS`, `BINS`).

    Returns
    -------
    ndarray of float32
        (n, `DESCRIBED`): mean, deviation and likeliest of warm and of green, in EV; entropy, the highest probability,
        the log of that of no cast, and how probably it is warm, and cool.
    """
    likely = probabilities(scores(of, filters))
    warm, green = likely.sum(2), likely.sum(1)
    warms, greens = _PLACES * WARM_STEP, _PLACES * GREEN_STEP
    mean_warm, mean_green = (warm * warms).sum(1), (green * greens).sum(1)
    spread_warm = np.sqrt(np.maximum((warm * warms**2).sum(1) - mean_warm**2, 0))
    spread_green = np.sqrt(np.maximum((green * greens**2).sum(1) - mean_green**2, 0))
    row, column = np.divmod(likely.reshape(len(likely), -1).argmax(1), BINS)
    entropy = -(likely * np.log(likely + 1e-12)).sum((1, 2))
    none = likely[:, 0, 0] + likely[:, 1, 0] + likely[:, -1, 0] + likely[:, 0, 1] + likely[:, 0, -1]
    told = [mean_warm, mean_green, spread_warm, spread_green, warms[row], greens[column]]
    told += [entropy, likely.max((1, 2)), np.log(none + 1e-9)]
    told += [warm[:, _PLACES >= _FAR].sum(1), warm[:, _PLACES <= -_FAR].sum(1)]
    return np.stack(told, axis=1).astype(np.float32)
