"""LUTs as tables for a preview that looks colours up by itself, in WebGL or on a canvas."""

import json

import cv2
import numpy as np

from studio.tone_mapping.lut import Lut


def write_png(lut: Lut) -> bytes:
    """Write a LUT as a PNG of 8 bits; what an imported one has outside 0..1 is clipped.

    Parameters
    ----------
    lut : ndarray of float32
        Of `compile_lut`.

    Returns
    -------
    bytes
        size² x size pixels: square slices of one blue each, side by side; red to the right in a slice, green down.
    """
    size = lut.shape[0]
    slices = lut.transpose(1, 2, 0, 3).reshape(size, size * size, 3)  # green down; blue, then red to the right
    _, data = cv2.imencode(".png", np.rint(slices[..., ::-1].clip(0, 1) * 255).astype(np.uint8))
    return data.tobytes()


def write_json(lut: Lut) -> bytes:
    """Write a LUT as a flat JSON list of numbers, clipped to 0..1, in the order of a .cube: red runs fastest.

    Parameters
    ----------
    lut : ndarray of float32
        Of `compile_lut`.

    Returns
    -------
    bytes
        ASCII; five decimals, below half a code of 16 bits.
    """
    values = np.ascontiguousarray(lut.transpose(2, 1, 0, 3)).reshape(-1).astype(np.float64).clip(0, 1)
    return json.dumps(np.round(values, 5).tolist(), separators=(",", ":")).encode()
