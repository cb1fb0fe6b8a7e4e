"""Smooth curves through points, which overshoot none of them.

References
----------
Fritsch, F. N. and Carlson, R. E. (1980). Monotone piecewise cubic interpolation. SIAM Journal on Numerical Analysis,
17(2), 238-246.
Fritsch, F. N. and Butland, J. (1984). A method for constructing local monotone piecewise cubic interpolants. SIAM
Journal on Scientific and Statistical Computing, 5(2), 300-304: the slopes at inner points.
Moler, C. (2004). Numerical Computing with MATLAB, chapter 3: the slopes at the ends.
"""

from functools import lru_cache

import numpy as np

from studio.tone_mapping.adjustments import CurvePoints
from studio.tone_mapping.colour import Array

_STEPS = 16 * 255  # so that points at 8-bit codes, as most are, lie on steps

StepTable = tuple[Array, Array]  # values at even steps, and the way from each to the next


def through_points(points: CurvePoints, at: Array) -> Array:
    """Evaluate the monotone cubic (PCHIP) through points, flat before the first and after the last.

    Parameters
    ----------
    points : tuple of (float, float)
        At least two, inputs rising.
    at : ndarray
        Inputs.

    Returns
    -------
    ndarray of float64
        Outputs.
    """
    x, y = np.array(points, np.float64).T
    width, secant = np.diff(x), np.diff(y) / np.diff(x)
    slope = _slopes(width, secant)
    at = np.clip(at, x[0], x[-1])
    left = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    step, rise = at - x[left], secant[left]
    cubic = (slope[left] + slope[left + 1] - 2 * rise) / width[left] ** 2
    square = (3 * rise - 2 * slope[left] - slope[left + 1]) / width[left]
    curve: Array = y[left] + step * (slope[left] + step * (square + step * cubic))
    return curve


def _slopes(width: Array, secant: Array) -> Array:
    """Weighted harmonic means of the secants on both sides, zero at a turn."""
    if len(secant) == 1:
        return np.repeat(secant, 2)
    before, after = secant[:-1], secant[1:]
    more, less = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    same_way = before * after > 1e-24  # a slope of less is none, and would overflow below
    mean = (more + less) / (more / np.where(same_way, before, 1) + less / np.where(same_way, after, 1))
    inner = np.where(same_way, mean, 0)
    first = _end_slope(width[0], width[1], secant[0], secant[1])
    last = _end_slope(width[-1], width[-2], secant[-1], secant[-2])
    return np.concatenate([[first], inner, [last]])


def _end_slope(width: float, next_width: float, secant: float, next_secant: float) -> float:
    """Slope of the parabola through the last three points, held back where it would overshoot."""
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant <= 0 and abs(slope) > abs(3 * secant):
        return 3 * secant
    return slope


def step_table(values: Array) -> StepTable:
    """Make a table of values at even steps, to be read between them.

    Parameters
    ----------
    values : ndarray
        (n,).

    Returns
    -------
    (ndarray of float32, ndarray of float32)
        The values, and the way from each to the next: 0 from the last, so that past the end nothing is read.
    """
    values = values.astype(np.float32)
    return values, np.append(np.diff(values), np.float32(0))


def read_steps(table: StepTable, index: Array, part: Array) -> Array:
    """Read a table between its steps, along straight lines.

    Parameters
    ----------
    table : StepTable
    index : ndarray of intp
        Of any shape: whole steps.
    part : ndarray of float32
        Of the same shape, 0..1: how far it is to the next one.

    Returns
    -------
    ndarray of float32
        Of the same shape.
    """
    values, ways = table
    read: Array = values[index] + part * ways[index]
    return read


@lru_cache(maxsize=16)
def _table(points: CurvePoints) -> StepTable:
    return step_table(np.clip(through_points(points, np.linspace(0, 1, _STEPS + 1)), 0, 1))


def bend_by(points: CurvePoints, tone: Array) -> Array:
    """Send float32 tones 0..1 through the curve, by a table and straight lines between its steps.

    Parameters
    ----------
    points : tuple of (float, float)
        As for `through_points`.
    tone : ndarray of float32
        Of any shape.

    Returns
    -------
    ndarray of float32
        Of the same shape, 0..1.
    """
    place = tone * _STEPS
    index = place.astype(np.intp)
    return read_steps(_table(points), index, place - index.astype(np.float32))
