"""Camera moves: which part of a picture a frame shows, as a pure function of the frame, and sampling it.

Coordinates run over pixels' corners: the first pixel's centre is at 0.5.
"""

from dataclasses import dataclass
from math import ceil, exp, expm1, floor, log, sqrt
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.minimatics.models import Camera, Motion, Size

Pixels = NDArray[Any]  # uint8

DENSITY = 1.5  # measured: fewer blur by half a decibel to ten, more alias
_STEP = 1.3
_MOST = 8  # pixels of a copy, as a multiple of the film's: what bounds the memory of a far zoom
_LONGEST = 32_000  # pixels of a copy's side: OpenCV samples from 32,767 at most
_NOTHING = 1e-9


@dataclass(frozen=True)
class View:
    """What the camera sees of a picture: a rectangle, its centre and its size in shares of the picture's sides."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class CameraPath:
    """A camera's way over a picture.

    Attributes
    ----------
    start, to : View
        Its ends.
    easing : str
        As `Motion` has it.
    frames : int
        Of the shot.
    """

    start: View
    to: View
    easing: str
    frames: int

    def view(self, frame: int) -> View:
        """Tell what is seen in a frame, counted from the shot's first.

        The size goes exponentially, so that the picture grows by the same rate all the way. The centre goes with the
        size: every point of the picture then moves on a straight line, and what both ends see inside the picture,
        all frames between them do.

        Parameters
        ----------
        frame : int
            0 up to and without `frames`.

        Returns
        -------
        View
        """
        progress = _eased(frame / (self.frames - 1) if self.frames > 1 else 0, self.easing)
        rate = log(self.to.width / self.start.width)
        scale = exp(rate * progress)
        way = expm1(rate * progress) / expm1(rate) if abs(rate) > _NOTHING else progress
        return View(
            self.start.x + (self.to.x - self.start.x) * way,
            self.start.y + (self.to.y - self.start.y) * way,
            self.start.width * scale,
            self.start.height * scale,
        )


def _eased(progress: float, easing: str) -> float:
    if easing == "ease_in":
        return progress * progress
    if easing == "ease_out":
        return progress * (2 - progress)
    if easing == "ease_in_out":
        return progress * progress * (3 - 2 * progress)
    return progress


def camera_path(
    motion: Motion, frames: int, picture: tuple[int, int], size: Size, fit: Literal["contain", "cover", "stretch"]
) -> CameraPath:
    """Lay a motion over a picture.

    Parameters
    ----------
    motion : Motion
    frames : int
        Of the shot.
    picture : (int, int)
        Width and height.
    size : Size
        Of the film.
    fit : {"contain", "cover", "stretch"}
        What zoom 1 shows.

    Returns
    -------
    CameraPath
        It stays on the picture; where it sees more than that, in its middle.
    """
    across, down = size.width / picture[0], size.height / picture[1]
    if fit != "stretch":
        across = down = min(across, down) if fit == "contain" else max(across, down)
    # At zoom 1 the film's width is this share of the picture's; above 1 where there are bars.
    width, height = size.width / across / picture[0], size.height / down / picture[1]
    return CameraPath(_view(motion.start, width, height), _view(motion.to, width, height), motion.easing, frames)


def _view(camera: Camera, width: float, height: float) -> View:
    width, height = width / camera.zoom, height / camera.zoom
    return View(_inside(camera.x, width), _inside(camera.y, height), width, height)


def _inside(centre: float, extent: float) -> float:
    """Keep the camera on the picture; where it sees more than that, in its middle."""
    return 0.5 if extent >= 1 else min(max(centre, extent / 2), 1 - extent / 2)


class Still:
    """A picture that a camera moves over.

    It is sampled bilinearly, from a copy of what the path ever sees of it, with `DENSITY` pixels a pixel of the film
    or a little more: enough that the sampling neither blurs nor aliases. A path that zooms by more than `_STEP` has
    several copies, and mixes the two that are nearest.

    Parameters
    ----------
    picture : ndarray of uint8
        (h, w, 3) BGR; best not much larger than `needed_size` says.
    path : CameraPath
        All that will be seen of it.
    size : Size
        Of the film.
    background : (int, int, int)
        BGR, of bars.
    """

    def __init__(self, picture: Pixels, path: CameraPath, size: Size, background: tuple[int, int, int]) -> None:
        self._path = path
        self._size = size
        finest = _copy_what_is_seen(picture, path, size, background)
        coarsest = ceil(self._place(finest, max(path.start.width, path.to.width)))
        self._levels = [finest, *(_coarser(finest, _STEP**number) for number in range(1, coarsest + 1))]

    def frame(self, number: int) -> Pixels:
        """Sample a frame of the shot.

        Parameters
        ----------
        number : int
            Counted from the shot's first.

        Returns
        -------
        ndarray of uint8
            (height, width, 3) BGR.
        """
        view = self._path.view(number)
        place = self._place(self._levels[0], view.width)
        finer = min(int(place), len(self._levels) - 1)
        fine, share = _sample(self._levels[finer], view, self._size), place - finer
        if share < _NOTHING or finer + 1 == len(self._levels):
            return fine
        coarse = _sample(self._levels[finer + 1], view, self._size)
        return cv2.addWeighted(fine, 1 - share, coarse, share, 0)

    def _place(self, finest: "_Level", width: float) -> float:
        """Tell which level, or between which two, a view of this width is sampled from.

        The coarser of the two has `DENSITY`, too: the finest is mixed with the next only when it has a step more.
        """
        pixels = width * finest.scale[0] / self._size.width
        return max(log(pixels / DENSITY) / log(_STEP) - 1, 0)

    def is_still(self, first: int, second: int) -> bool:
        """Tell whether two frames are the same.

        Parameters
        ----------
        first, second : int
            Counted from the shot's first.

        Returns
        -------
        bool
        """
        return self._path.view(first) == self._path.view(second)


def needed_size(path: CameraPath, size: Size) -> tuple[int, int]:
    """Tell what size a whole picture needs, for nothing of it to be missed.

    Parameters
    ----------
    path : CameraPath
    size : Size
        Of the film.

    Returns
    -------
    width, height : int
        In pixels, at least 1: `DENSITY` a pixel of the film where the camera is nearest, fewer where a copy of all that
        is ever seen would have too many.
    """
    nearest = min(path.start.width, path.to.width), min(path.start.height, path.to.height)
    seen = _seen(path)
    # The copy's sides at full density, by the share of the picture that is seen at all: it never has more pixels.
    width = DENSITY * size.width / nearest[0] * (seen[2] - seen[0])
    height = DENSITY * size.height / nearest[1] * (seen[3] - seen[1])
    most = _MOST * size.width * size.height
    density = DENSITY * min(1, sqrt(most / (width * height)), _LONGEST / max(width, height))
    return max(1, round(density * size.width / nearest[0])), max(1, round(density * size.height / nearest[1]))


@dataclass(frozen=True)
class _Level:
    """A copy of a picture; a share of the picture's side, times `scale`, plus `offset`, is a place in it."""

    pixels: Pixels
    scale: tuple[float, float]
    offset: tuple[float, float]


def _seen(path: CameraPath) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of all that is seen: edges move one way only, so the ends tell."""
    ends = (path.start, path.to)
    return (
        min(end.x - end.width / 2 for end in ends),
        min(end.y - end.height / 2 for end in ends),
        max(end.x + end.width / 2 for end in ends),
        max(end.y + end.height / 2 for end in ends),
    )


def _copy_what_is_seen(picture: Pixels, path: CameraPath, size: Size, background: tuple[int, int, int]) -> _Level:
    left, top, right, bottom = _seen(path)
    height, width = picture.shape[:2]
    needed = needed_size(path, size)
    first_column, last_column, columns = _resampled(left, right, width, needed[0])
    first_row, last_row, rows = _resampled(top, bottom, height, needed[1])
    seen = picture[first_row:last_row, first_column:last_column]
    if seen.shape[:2] != (rows, columns):
        shrinks = rows * columns < seen.shape[0] * seen.shape[1]
        seen = cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    scale = columns / (last_column - first_column) * width, rows / (last_row - first_row) * height
    above, below, before, behind = (
        ceil(share * extent) + 2 if share > _NOTHING else 0
        for share, extent in ((-top, scale[1]), (bottom - 1, scale[1]), (-left, scale[0]), (right - 1, scale[0]))
    )
    padded = cv2.copyMakeBorder(seen, above, below, before, behind, cv2.BORDER_CONSTANT, value=background)
    offset = before - first_column * scale[0] / width, above - first_row * scale[1] / height
    return _Level(padded, scale, offset)


def _resampled(low: float, high: float, extent: int, needed: int) -> tuple[int, int, int]:
    """Tell which pixels of a side are seen, first and behind the last, and how many they are in the copy."""
    margin = ceil(3 * extent / needed)
    first, last = max(floor(low * extent) - margin, 0), min(ceil(high * extent) + margin, extent)
    return first, last, min(max(1, round((last - first) * needed / extent)), _LONGEST)


def _coarser(level: _Level, factor: float) -> _Level:
    height, width = level.pixels.shape[:2]
    columns, rows = max(1, round(width / factor)), max(1, round(height / factor))
    across, down = columns / width, rows / height
    return _Level(
        cv2.resize(level.pixels, (columns, rows), interpolation=cv2.INTER_AREA),
        (level.scale[0] * across, level.scale[1] * down),
        (level.offset[0] * across, level.offset[1] * down),
    )


def _sample(level: _Level, view: View, size: Size) -> Pixels:
    across, down = view.width * level.scale[0] / size.width, view.height * level.scale[1] / size.height
    left = (view.x - view.width / 2) * level.scale[0] + level.offset[0]
    top = (view.y - view.height / 2) * level.scale[1] + level.offset[1]
    # OpenCV counts from the first pixel's centre.
    way = np.array([[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]])
    return cv2.warpAffine(
        level.pixels,
        way,
        (size.width, size.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
