"""What a LUT would lose: the grade between its nodes, which tetrahedra make straight, against the exact one."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.colour import Array, to_lab, to_linear
from studio.tone_mapping.grade import grade_light

# The sample's colours, by numbers: the first ones settle most grades; more at a time would not fit a core's cache.
_FIRST, _OTHERS = range(1000), (range(1000, 4000), range(4000, 7000), range(7000, 10_000))
# CIE94 of the worst colour: above the one a LUT is not close, up to the other in the first part it plainly is. By 33
# nodes, 99.9 % of a picture's pixels are then within 1.5 CIEDE2000: of 990 random grades of all sliders up to ±50 that
# take them, 20 were not, in one of 28 photographs and by 0.85 at most; of 1,392 without curves and hues none.
_VISIBLE, _PLAINLY_LESS = 1.07, 0.65


def is_close(grades: Sequence[Adjustments], size: int) -> bool:
    """Tell whether a LUT of this size shows no difference from grades, one after another, to a fixed sample of colours.

    Most grades are told apart by the first part of the sample; the others take up to all of it.

    Parameters
    ----------
    grades : sequence of Adjustments
    size : int
        Nodes an axis.

    Returns
    -------
    bool
    """
    first = largest_error(grades, size, _FIRST)
    if first <= _PLAINLY_LESS or first > _VISIBLE:
        return first <= _VISIBLE
    return all(largest_error(grades, size, part) <= _VISIBLE for part in _OTHERS)


def largest_error(grades: Sequence[Adjustments], size: int, part: range) -> float:
    """Measure the largest difference (CIE94) that a LUT of this size makes to a part of the sample.

    Parameters
    ----------
    grades : sequence of Adjustments
        At least one; each works on what the one before made.
    size : int
        Nodes an axis.
    part : range
        Numbers of colours, a multiple of four of them.

    Returns
    -------
    float
        About 1 is just visible.
    """
    corners, shares, colours = _sample(size, part)
    light = np.concatenate([corners, colours], axis=1)
    for adjustments in grades[:-1]:
        light = to_linear(grade_light(light, adjustments))
    graded = grade_light(light, grades[-1])
    count = colours.shape[1]
    interpolated = (graded[:, : 4 * count].reshape(3, 4, count) * shares).sum(axis=1)
    return float(_cie94(graded[:, 4 * count :], interpolated).max())


@lru_cache(maxsize=12)
def _sample(size: int, part: range) -> tuple[Array, Array, Array]:
    """Draw colours, and the corners of their tetrahedra.

    A quarter are anywhere, a quarter as pictures have them, a quarter nearly neutral, where all hues meet, and a
    quarter very dark, where grades bend most.

    Returns
    -------
    tuple of ndarray
        Linear light of the corners, (3, 4 n), which lie together by their place in the tetrahedron; the corners'
        shares, (4, n); linear light of the colours, (3, n).
    """
    anywhere, picture, neutral, dark = np.split(_evenly_spread(part, 4), 4)
    like_pictures = picture[:, :1] ** 1.5 * (1 + 0.4 * _normal(picture[:, 1:]))
    nearly_neutral = neutral[:, :1] * (1 + 0.15 * _normal(neutral[:, 1:]))
    colours = np.concatenate([anywhere[:, 1:], like_pictures, nearly_neutral, 0.1 * dark[:, 1:]]).clip(0, 1)
    corner = np.minimum(np.floor(colours * (size - 1)), size - 2)
    place = colours * (size - 1) - corner
    # From a cell's darkest corner to its brightest, first along the axis on which the colour is furthest.
    order = np.argsort(-place, axis=1)
    sorted_place = np.take_along_axis(place, order, axis=1)
    corners = [corner]
    for axis in order.T:
        corners.append(corners[-1] + np.eye(3)[axis])
    shares = -np.diff(sorted_place, axis=1, prepend=1, append=0).T
    return (
        to_linear((np.concatenate(corners).T / (size - 1)).astype(np.float32)),
        shares.astype(np.float32),
        to_linear(np.ascontiguousarray(colours.T, np.float32)),
    )


def _evenly_spread(numbers: range, dimensions: int) -> Array:
    """Spread points over the unit cube, (numbers, dimensions), float64, the same ones always.

    An additive recurrence (Martin Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018). numpy's
    generators would do, but loading them takes longer than compiling a LUT.
    """
    ratio = 2.0
    for _ in range(50):  # to the root of ratio ** (dimensions + 1) = ratio + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    points: Array = (0.5 + (1 + np.array(numbers, np.float64))[:, None] * steps) % 1
    return points


def _normal(share: Array) -> Array:
    """Quantiles of the normal distribution, nearly: those of the logistic one that is as steep in the middle."""
    quantile: Array = np.log(share / (1 - share)) / 1.6
    return quantile


def _cie94(encoded: Array, other: Array) -> Array:
    """CIE94 colour difference, graphic arts: CIEDE2000 in short, but for blues (CIE 116-1995)."""
    lightness, a, b = to_lab(to_linear(encoded))
    other_lightness, other_a, other_b = to_lab(to_linear(other))
    chroma, other_chroma = np.hypot(a, b), np.hypot(other_a, other_b)
    chroma_difference = chroma - other_chroma
    hue_squared = np.maximum((a - other_a) ** 2 + (b - other_b) ** 2 - chroma_difference**2, 0)
    mean = np.sqrt(chroma * other_chroma)
    difference: Array = np.sqrt(
        (lightness - other_lightness) ** 2
        + (chroma_difference / (1 + 0.045 * mean)) ** 2
        + hue_squared / (1 + 0.015 * mean) ** 2
    )
    return difference
