"""Sliders to one 3D LUT."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.colour import Array, to_linear
from studio.tone_mapping.grade import grade_light
from studio.tone_mapping.lut_error import is_close

Lut = NDArray[np.float32]

# An axis: more OpenColorIO does not take. Several EV with steep curves and hues at odds are off by up to 7 CIEDE2000.
MAX_NODES = 129
_TILE = 2**15  # colours graded at a time: more do not fit a core's cache


@lru_cache(maxsize=4)
def identity_lut(size: int) -> Lut:
    """Return the LUT that changes nothing, read-only.

    Parameters
    ----------
    size : int
        Nodes an axis, at least 2.

    Returns
    -------
    ndarray of float32
        (size, size, size, 3), as `compile_lut` makes it.
    """
    axis = np.linspace(0, 1, size, dtype=np.float32)
    lut = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    lut.setflags(write=False)
    return lut


@lru_cache(maxsize=2)
def _light(size: int) -> Array:
    """Return the identity LUT's linear light, (3, size³), read-only."""
    light = to_linear(np.ascontiguousarray(identity_lut(size).reshape(-1, 3).T))
    light.setflags(write=False)
    return light


def compile_lut(adjustments: Adjustments, size: int = 33) -> Lut:
    """Sample the grade over display-encoded sRGB; clarity, texture and dehaze, which no LUT can hold, are left out.

    Parameters
    ----------
    adjustments : Adjustments
    size : int
        Nodes an axis, 2..129.

    Returns
    -------
    ndarray of float32
        (size, size, size, 3): indexed red, green, blue, so that blue runs fastest in memory, as OpenColorIO wants it;
        values are display-encoded red, green, blue, 0..1.
    """
    if adjustments.without_spatial() == Adjustments():
        return identity_lut(size)
    return _graded(_light(size), adjustments).reshape(size, size, size, 3)


def grade_lut(lut: Lut, adjustments: Adjustments) -> Lut:
    """Grade the colours that a LUT gives, so that it holds both.

    Parameters
    ----------
    lut : ndarray of float32
        Of `compile_lut`; left as it is.
    adjustments : Adjustments

    Returns
    -------
    ndarray of float32
        Like `lut`.
    """
    if adjustments.without_spatial() == Adjustments():
        return lut
    light = to_linear(np.ascontiguousarray(lut.reshape(-1, 3).T))
    return _graded(light, adjustments).reshape(lut.shape)


def _graded(light: Array, adjustments: Adjustments) -> Array:
    """Grade linear planes (3, n) to encoded triples (n, 3), in even tiles on every core."""
    count = light.shape[1]
    graded = np.empty((count, 3), np.float32)
    tiles = math.ceil(count / _TILE)
    edges = [count * tile // tiles for tile in range(tiles + 1)]
    slices = list(map(slice, edges, edges[1:]))

    def grade_tile(tile: slice) -> None:
        graded[tile] = grade_light(light[:, tile], adjustments).T

    if len(slices) <= 2:  # threads would cost more than they save
        for tile in slices:
            grade_tile(tile)
        return graded
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(grade_tile, slices))
    return graded


def lut_size(adjustments: Adjustments, bit_depth: int) -> int:
    """Tell the nodes an axis: 33, more under grades that 33 would show in, and at least 65 in more than 8 bits.

    The grade is measured, and not only its strength: what bends between nodes is a matter of all sliders together.

    Parameters
    ----------
    adjustments : Adjustments
    bit_depth : int
        Bits of a channel of the picture.

    Returns
    -------
    int
        33, 65, 97 or 129.
    """
    if bit_depth == 8 and is_close([adjustments], 33):
        return 33
    return chain_size([adjustments])


def chain_size(grades: Sequence[Adjustments]) -> int:
    """Tell the nodes an axis that grades take, one after another: at least 65.

    They are measured together, for what each bends little may bend much in the end.

    Parameters
    ----------
    grades : sequence of Adjustments

    Returns
    -------
    int
        65, 97 or 129.
    """
    return next((size for size in (65, 97) if is_close(grades, size)), MAX_NODES)


def lut_id(lut: Lut) -> str:
    """16 hexadecimal digits that name this LUT's exact values.

    Parameters
    ----------
    lut : ndarray of float32
        Of `compile_lut`.

    Returns
    -------
    str
        The first digits of the SHA-256 of its bytes.
    """
    import hashlib  # here, beside the grading: it loads OpenSSL

    return hashlib.sha256(np.ascontiguousarray(lut).data).hexdigest()[:16]
