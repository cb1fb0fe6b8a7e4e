"""Sliders to one 3D LUT."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.grade import Array, grade_light, to_linear

Lut = NDArray[np.float32]

_STRENGTHS = ("contrast", "highlights", "shadows", "whites", "blacks", "vibrance", "saturation", "temperature", "tint")


@lru_cache(maxsize=4)
def identity_lut(size: int) -> Lut:
    """Return the LUT that changes nothing, read-only."""
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

    Returns
    -------
    ndarray of float32
        (size, size, size, 3): indexed red, green, blue, so that blue runs fastest in memory, as OpenColorIO wants it;
        values are display-encoded red, green, blue, 0..1.
    """
    if adjustments.without_spatial() == Adjustments():
        return identity_lut(size)
    return np.ascontiguousarray(grade_light(_light(size), adjustments).T).reshape(size, size, size, 3)


def lut_size(adjustments: Adjustments, bit_depth: int) -> int:
    """Tell the nodes an axis: 65 where 33 could show, in pictures of more than 8 bits and under strong grades.

    The bounds are chosen so that 33 nodes stay within 1.5 CIEDE2000 of the exact grade in 99.9 % of pixels; the
    largest that a search found under them is 1.5016.
    """
    strongest = max(abs(getattr(adjustments, name)) for name in _STRENGTHS)
    # Exposure, shadows and the black point steepen the same dark nodes.
    steepness = adjustments.exposure + (max(adjustments.shadows, 0) - 2 * min(adjustments.blacks, 0)) / 100
    return 65 if bit_depth > 8 or strongest > 50 or steepness > 1 else 33


def lut_id(lut: Lut) -> str:
    """16 hexadecimal digits that name this LUT's exact values."""
    return hashlib.sha256(np.ascontiguousarray(lut).data).hexdigest()[:16]
