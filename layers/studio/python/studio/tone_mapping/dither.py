"""16 bits to 8 without banding."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE = 64  # side of the dither pattern


def dither_to_8_bits(wide: NDArray[np.uint16], out: NDArray[np.uint8], pattern: NDArray[np.uint16]) -> None:
    """Write 16-bit values as 8-bit ones with an ordered dither.

    Parameters
    ----------
    wide : ndarray of uint16
        (h, w, 3), 0..65535, contiguous; overwritten, so that no other memory is needed.
    out : ndarray of uint8
        (h, w, 3): the answer. Its mean follows `wide` below one code; whole codes (multiples of 257) stay flat.
    pattern : ndarray of uint16
        `dither_pattern` of this width, cut to h rows; `wide` starts at a multiple of `TILE` in its picture.
    """
    wide -= wide >> np.uint16(8)  # now the 8-bit code times 256, exactly so for whole codes
    wide += pattern
    wide >>= 8
    out[...] = wide


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
