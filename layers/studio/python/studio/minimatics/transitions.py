"""Two pictures into one: what is seen while a shot follows another."""

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.minimatics.models import Cut, Dissolve, Fade, Push, Transition, Wipe, bgr_of
from studio.minimatics.motion import Pixels
from studio.tone_mapping.colour import to_linear

_LIGHT = to_linear(np.arange(256.0) / 255)  # of every code
_BETWEEN_CODES = to_linear((np.arange(255) + 0.5) / 255)  # where light is nearer to the next code


def join(transition: Transition, progress: float, leaving: Pixels, entering: Pixels) -> Pixels:
    """Show how far a transition is.

    Parameters
    ----------
    transition : Transition
    progress : float
        Above 0 and below 1.
    leaving, entering : ndarray of uint8
        (h, w, 3) BGR, left as they are.

    Returns
    -------
    ndarray of uint8
        Like them.
    """
    match transition:
        case Dissolve():
            return mix(leaving, entering, progress)
        case Fade(colour=colour):
            plain = np.full_like(leaving, bgr_of(colour))
            if progress < 0.5:
                return mix(leaving, plain, 2 * progress)
            return mix(plain, entering, 2 * progress - 1)
        case Wipe(direction=direction):
            return _turned_back(_wipe_left(progress, *_turned(direction, leaving, entering)), direction)
        case Push(direction=direction):
            return _turned_back(_push_left(progress, *_turned(direction, leaving, entering)), direction)
        case Cut():
            return entering


def mix(first: Pixels, second: Pixels, share: float) -> Pixels:
    """Mix two pictures as light would, and not as their codes would, which darkens the middle.

    Every pair of codes is looked up in a table of them all: exact to half a code, and faster than any arithmetic.

    Parameters
    ----------
    first, second : ndarray of uint8
        (h, w, 3), of sRGB.
    share : float
        Of the second's light, 0..1.
    """
    height, width, channels = first.shape
    rows = height, width * channels
    # Two bytes, the low one first, are one code of 16 bits.
    pairs = cv2.merge([second.reshape(rows), first.reshape(rows)]).view(np.uint16)[..., 0]
    mixed = cv2.LUT(pairs, _mixing_table(share))
    return mixed.reshape(first.shape)


def _mixing_table(share: float) -> NDArray[np.uint8]:
    light = ((1 - share) * _LIGHT[:, None] + share * _LIGHT[None, :]).ravel()
    table: NDArray[np.uint8] = np.searchsorted(_BETWEEN_CODES, light).astype(np.uint8)
    return table


def _turned(direction: str, *pictures: Pixels) -> list[Pixels]:
    """Turn pictures so that the direction becomes left."""
    if direction in ("up", "down"):
        pictures = tuple(picture.transpose(1, 0, 2) for picture in pictures)
    return [picture[:, ::-1] if direction in ("right", "down") else picture for picture in pictures]


def _turned_back(picture: Pixels, direction: str) -> Pixels:
    if direction in ("right", "down"):
        picture = picture[:, ::-1]
    if direction in ("up", "down"):
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture)


def _wipe_left(progress: float, leaving: Pixels, entering: Pixels) -> Pixels:
    """Let an edge in on the right; the column that it crosses is of both."""
    width = leaving.shape[1]
    edge = width * (1 - progress)
    column = min(int(edge), width - 1)
    joined = np.concatenate([leaving[:, :column], entering[:, column:]], axis=1)
    crossed = [np.ascontiguousarray(picture[:, column : column + 1]) for picture in (entering, leaving)]
    joined[:, column : column + 1] = mix(crossed[0], crossed[1], edge - column)
    return joined


def _push_left(progress: float, leaving: Pixels, entering: Pixels) -> Pixels:
    """Move both to the left by a share of the width, which is rarely a whole number of pixels."""
    height, width = leaving.shape[:2]
    way = width * progress
    whole = int(way)
    both = np.concatenate([leaving[:, whole:], entering[:, : whole + 1]], axis=1)
    shift = np.array([[1, 0, way - whole], [0, 1, 0]])
    return cv2.warpAffine(both, shift, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
