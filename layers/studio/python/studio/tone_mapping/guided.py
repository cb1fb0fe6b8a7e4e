"""An edge-preserving blur: the fast guided filter, worked out small and looked up at full size, rows at a time.

Kaiming He and Jian Sun, "Fast Guided Filter", arXiv:1505.00996, 2015. The picture guides itself: where it varies more
than `epsilon` within the window the blur follows it, so that a strong edge stays in the blur and casts no halo.
"""

import cv2
import numpy as np

from studio.tone_mapping.colour import Array

STRIP = 64  # rows that are worked on at once


def shrink(picture: Array, side: int) -> Array:
    """Make a picture (h, w) or (h, w, c) smaller, so that its longer side is `side` at most.

    Parameters
    ----------
    picture : ndarray
        Of a type that OpenCV resizes.
    side : int
        Pixels.

    Returns
    -------
    ndarray
        Of the same type; the picture itself where it is small enough.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Down to a half, bilinear looks at the same pixels as areas, ten times as fast.
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR)


def blur(plane: Array, radius: int) -> Array:
    """Mean over a square of ``2 * radius + 1`` pixels.

    Parameters
    ----------
    plane : ndarray of float32
        (h, w), mirrored at its ends.
    radius : int
        Pixels.

    Returns
    -------
    ndarray of float32
        (h, w).
    """
    side = 2 * radius + 1
    return cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_REFLECT_101)


def guided_coefficients(guide: Array, radius: int, epsilon: float, target: Array | None = None) -> tuple[Array, Array]:
    """Find `slope` and `offset`, the planes of which ``slope * guide + offset`` is the edge-preserving blur.

    Parameters
    ----------
    guide : ndarray of float32
        (h, w): the picture, made smaller.
    radius : int
        Of the window, in pixels of `guide`.
    epsilon : float
        Variance above which something counts as an edge.
    target : ndarray of float32 | None
        (h, w): what is blurred and gets the edges of `guide`; `guide` itself by default.

    Returns
    -------
    tuple of ndarray of float32
        (h, w) each.
    """
    mean = blur(guide, radius)
    variance = np.maximum(blur(guide * guide, radius) - mean * mean, 0)
    if target is None:
        mean_target, covariance = mean, variance
    else:
        mean_target = blur(target, radius)
        covariance = blur(guide * target, radius) - mean * mean_target
    slope = covariance / (variance + np.float32(epsilon))
    return blur(slope, radius), blur(mean_target - slope * mean, radius)


class Enlarged:
    """A small plane seen at full size, bilinearly, without that size in memory: columns first, then rows on demand.

    Parameters
    ----------
    small : ndarray of float32
        (h, w).
    height, width : int
        The full size.
    """

    def __init__(self, small: Array, height: int, width: int) -> None:
        columns = cv2.resize(small, (width, len(small)), interpolation=cv2.INTER_LINEAR)
        self._columns = np.vstack([columns, columns[-1:]])  # a row below the last, for one that lies on it
        self._scale = len(small) / height
        self._last = len(small) - 1

    def rows(self, top: int, bottom: int) -> Array:
        """Rows `top` to `bottom`, (bottom - top, width).

        Parameters
        ----------
        top, bottom : int
            Rows of the full size, 0..height.

        Returns
        -------
        ndarray of float32
        """
        places = np.clip((np.arange(top, bottom) + 0.5) * self._scale - 0.5, 0, self._last).astype(np.float32)
        above = places.astype(np.intp)
        share = (places - above)[:, None]
        rows = self._columns[above]
        rows += share * (self._columns[above + 1] - rows)
        return rows
