"""Colour arithmetic that every stage of the grade shares: on (3, n), a plane each of red, green and blue, float32."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 everywhere: numpy keeps it so next to Python's floats

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709
XYZ_FROM_RGB = np.array(  # Rec. 709 primaries, D65 (IEC 61966-2-1)
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
TINY = 1e-6

_XYZ_BY_WHITE = (XYZ_FROM_RGB / XYZ_FROM_RGB.sum(1, keepdims=True)).astype(np.float32)


def to_linear(encoded: Array) -> Array:
    """Decode sRGB (IEC 61966-2-1) to linear light, both 0..1.

    Parameters
    ----------
    encoded : ndarray of float32
        Of any shape. Beyond 0..1 both parts of the curve go on.

    Returns
    -------
    ndarray of float32
        Of the same shape.
    """
    power = ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, power)


def to_encoded(linear: Array) -> Array:
    """Encode linear light to sRGB (IEC 61966-2-1), both 0..1.

    Parameters
    ----------
    linear : ndarray of float32
        Of any shape. Beyond 0..1 both parts of the curve go on.

    Returns
    -------
    ndarray of float32
        Of the same shape.
    """
    power = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, power)


def linear_value(encoded: float) -> float:
    """Decode one value of sRGB to linear light, as `to_linear` does.

    Parameters
    ----------
    encoded : float
        0..1.

    Returns
    -------
    float
        0..1.
    """
    return float(to_linear(np.array(encoded, np.float32)))


def encoded_value(linear: float) -> float:
    """Encode one value of linear light to sRGB, as `to_encoded` does.

    Parameters
    ----------
    linear : float
        0..1.

    Returns
    -------
    float
        0..1.
    """
    return float(to_encoded(np.array(linear, np.float32)))


def luminance(linear: Array) -> Array:
    """Weigh linear (3, ...) to Rec. 709 luminance, (...); of encoded values it is luma.

    Parameters
    ----------
    linear : ndarray of float32
        (3, ...), red first.

    Returns
    -------
    ndarray of float32
        (...): 0.2126 red + 0.7152 green + 0.0722 blue (ITU-R BT.709).
    """
    red, green, blue = linear
    weighed: Array = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    return weighed


def to_lab(linear: Array) -> Array:
    """Convert linear light to CIELAB of D65 (CIE 15:2018, section 8.2.1).

    OpenCV's conversion is as fast, but makes tables at its first use in a process, which takes longer than an analysis.

    Parameters
    ----------
    linear : ndarray of float32
        (3, ...), red first, 0..1.

    Returns
    -------
    ndarray of float32
        (3, ...): L* 0..100, a* and b*, which are 0 for greys.
    """
    red, green, blue = linear
    x, y, z = (_lab_response(row[0] * red + row[1] * green + row[2] * blue) for row in _XYZ_BY_WHITE)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _lab_response(relative: Array) -> Array:
    return np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * ((29 / 6) ** 2 / 3) + 4 / 29)


def ramp(value: float, low: float, high: float) -> float:
    """Tell how far a value is from `low`, 0, to `high`, 1, either of which may be the larger one; held to 0..1.

    Parameters
    ----------
    value, low, high : float
        In one unit; `low` and `high` differ.

    Returns
    -------
    float
        0..1.
    """
    return float(np.clip((value - low) / (high - low), 0, 1))


def sorted_values(values: Array) -> Array:
    """Sort all values into one row: OpenCV sorts float32 several times faster than numpy's wheels for Lambda do.

    Parameters
    ----------
    values : ndarray of float32
        Of any shape.

    Returns
    -------
    ndarray of float32
        (n,), rising.
    """
    ordered: Array = cv2.sort(np.ascontiguousarray(values).reshape(1, -1), cv2.SORT_EVERY_ROW)[0]
    return ordered


def largest(planes: Array) -> Array:
    """Return every pixel's largest channel.

    Parameters
    ----------
    planes : ndarray
        (3, ...).

    Returns
    -------
    ndarray
        (...).
    """
    found: Array = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    return found


def smallest(planes: Array) -> Array:
    """Return every pixel's smallest channel.

    Parameters
    ----------
    planes : ndarray
        (3, ...).

    Returns
    -------
    ndarray
        (...).
    """
    found: Array = np.minimum(np.minimum(planes[0], planes[1]), planes[2])
    return found


def gamut_fraction(planes: Array, grey: Array, top: float = 1) -> Array:
    """Tell how far a colour is from its grey, 0, towards the edge of 0..`top`, 1; past the edge it is more.

    Parameters
    ----------
    planes : ndarray of float32
        (3, n).
    grey : ndarray of float32
        (n,), 0..`top`: the grey that each colour is judged from, mostly its luminance.
    top : float
        Full of a channel.

    Returns
    -------
    ndarray of float32
        (n,), at least 0.
    """
    up = (largest(planes) - grey) / np.maximum(top - grey, TINY)
    down = (grey - smallest(planes)) / np.maximum(grey, TINY)
    far: Array = np.maximum(up, down)
    return far


def into_gamut(planes: Array, grey: Array, top: float = 1) -> Array:
    """Pull what is outside 0..`top` straight towards its grey until it is inside; neither hue nor grey changes.

    Parameters
    ----------
    planes : ndarray of float32
        (3, n).
    grey : ndarray of float32
        (n,), 0..`top`.
    top : float
        Full of a channel.

    Returns
    -------
    ndarray of float32
        (3, n), 0..`top`.
    """
    inside: Array = grey + (planes - grey) / np.maximum(gamut_fraction(planes, grey, top), 1)
    return inside


def saturate(planes: Array, grey: Array, amount: Array, far: Array) -> Array:
    """Scale colour about grey by `amount`; what rises nears the gamut's edge, and never leaves it.

    Parameters
    ----------
    planes : ndarray of float32
        (3, n), 0..1.
    grey : ndarray of float32
        (n,), 0..1.
    amount : ndarray of float32
        (n,), at least 0: 0 makes grey, 1 changes nothing.
    far : ndarray of float32
        (n,), 0..1: how near the edge it is already, by `gamut_fraction`.

    Returns
    -------
    ndarray of float32
        (3, n), 0..1.
    """
    amount = amount / np.sqrt(1 + np.maximum(amount * amount - 1, 0) * far * far)
    coloured: Array = grey + (planes - grey) * amount
    return coloured
