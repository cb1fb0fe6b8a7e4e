"""To 8 bits without banding."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TILE = 64  # side of the dither pattern
WHITE = 255 * 256  # the code of white, as `dither_to_8_bits` takes it


def dither_to_8_bits(fine: NDArray[np.uint16], out: NDArray[np.uint8], pattern: NDArray[np.uint16]) -> None:
    """Write codes that have a fraction as whole ones with an ordered dither.

    Parameters
    ----------
    fine : ndarray of uint16
        (h, w, 3), 8-bit codes times 256, contiguous; overwritten, so that no other memory is needed. What is above
        white (255 * 256) is white.
    out : ndarray of uint8
        (h, w, 3): the answer. Its mean follows `fine` below one code; whole codes stay flat.
    pattern : ndarray of uint16
        `dither_pattern` of this width, cut to h rows; `fine` starts at a multiple of `TILE` in its picture.
    """
    cv2.add(fine, pattern, dst=fine)  # and no further than 65535
    fine >>= 8
    out[...] = fine


def dither_pattern(width: int) -> NDArray[np.uint16]:
    """Thresholds for one band of a picture, (TILE, width, 3).

    Parameters
    ----------
    width : int
        Pixels of the picture.

    Returns
    -------
    ndarray of uint16
        Each 4..251.
    """
    return np.tile(_tile(), (1, -(-width // TILE), 1))[:, :width]


@lru_cache(maxsize=1)
def _tile() -> NDArray[np.uint16]:
    """Thresholds 4..251 of 256: interleaved gradient noise, the same for all channels, so that neutrals stay neutral.

    Jorge Jimenez, "Next Generation Post Processing in Call of Duty: Advanced Warfare", SIGGRAPH 2014. The margin of 4
    keeps flat black, white and every whole code flat in spite of rounding in the LUT.
    """
    y, x, _ = np.mgrid[:TILE, :TILE, :3].astype(np.float64)
    noise: NDArray[Any] = (52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1
    return (4 + noise * 248).astype(np.uint16)
