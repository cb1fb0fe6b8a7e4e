"""Tone Mapped image Quality Index, to judge `studio.tone_mapping.hdr` by.

Hojatollah Yeganeh and Zhou Wang, "Objective Quality Assessment of Tone Mapped Images", IEEE Transactions on Image
Processing 22(2), 2013, with the constants and the borders of the authors' own program.
"""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights, finest first
_WINDOW = cv2.getGaussianKernel(11, 1.5, cv2.CV_64F)
_BLOCK = 11


class Quality(NamedTuple):
    """All 0..1, 1 best."""

    score: float
    structure: float
    naturalness: float


def tmqi(hdr: Array, ldr: Array) -> Quality:
    """Compare a tone-mapped picture with its scene.

    Parameters
    ----------
    hdr : ndarray
        (h, w, 3) BGR, linear light of any scale; 176 pixels a side and more.
    ldr : ndarray of uint8
        (h, w, 3) BGR, display-encoded.

    Returns
    -------
    Quality
    """
    scene, picture = _luminance(hdr), _luminance(ldr)
    scene = np.rint((2**32 - 1) / (scene.max() - scene.min())) * (scene - scene.min())
    structure, naturalness = _structural_fidelity(scene, picture), _naturalness(picture)
    return Quality(0.8012 * structure**0.3046 + 0.1988 * naturalness**0.7088, structure, naturalness)


def _luminance(bgr: Array) -> Array:
    weighed: Array = bgr.astype(np.float64) @ np.array([0.0722, 0.7152, 0.2126])
    return weighed


def _structural_fidelity(scene: Array, picture: Array) -> float:
    fidelity, frequency = 1.0, 32.0
    for weight in _SCALES:
        frequency /= 2
        fidelity *= float(_local_fidelity(scene, picture, frequency)) ** weight
        scene, picture = (
            cv2.filter2D(plane, -1, np.full((2, 2), 0.25), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)[::2, ::2]
            for plane in (scene, picture)
        )
    return fidelity


def _local_fidelity(scene: Array, picture: Array, frequency: float) -> float:
    mean_1, mean_2 = _windowed(scene), _windowed(picture)
    sigma_1 = np.sqrt(np.maximum(_windowed(scene * scene) - mean_1 * mean_1, 0))
    sigma_2 = np.sqrt(np.maximum(_windowed(picture * picture) - mean_2 * mean_2, 0))
    covariance = _windowed(scene * picture) - mean_1 * mean_2
    sensitivity = 260 * (0.0192 + 0.114 * frequency) * math.exp(-((0.114 * frequency) ** 1.1))
    threshold = 128 / (1.4 * sensitivity)
    seen_1, seen_2 = _visibility(sigma_1, threshold), _visibility(sigma_2, threshold)
    signal = (2 * seen_1 * seen_2 + 0.01) / (seen_1**2 + seen_2**2 + 0.01)
    return float((signal * (covariance + 10) / (sigma_1 * sigma_2 + 10)).mean())


def _windowed(plane: Array) -> Array:
    """Gaussian mean wherever the whole window fits."""
    return cv2.sepFilter2D(plane, cv2.CV_64F, _WINDOW, _WINDOW)[5:-5, 5:-5]


def _visibility(sigma: Array, threshold: float) -> Array:
    """Chance that a contrast is seen: the normal distribution about the threshold, with a third of it as deviation.

    In steps of a hundredth: numpy has no error function.
    """
    steps = np.linspace(-4, 4, 801)
    chances = np.array([0.5 * (1 + math.erf(step / math.sqrt(2))) for step in steps])
    seen: Array = np.interp((sigma - threshold) / (threshold / 3), steps, chances, left=0, right=1)
    return seen


def _naturalness(picture: Array) -> float:
    """Likeness of brightness and contrast to those of 3,000 photographs."""
    height, width = picture.shape
    padded = np.pad(picture, ((0, -height % _BLOCK), (0, -width % _BLOCK)))
    blocks = padded.reshape(padded.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK).std(axis=(1, 3), ddof=1)
    contrast = blocks.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)[:height, :width].mean() / 64.29
    brightness = math.exp(-(((picture.mean() - 115.94) / 27.99) ** 2) / 2)
    return brightness * _beta(contrast) / _beta(3.4 / 12.5)


def _beta(x: float) -> float:
    """Beta density of (4.4, 10.1) but for its constant, which cancels out."""
    return float(x**3.4 * (1 - x) ** 9.1)
