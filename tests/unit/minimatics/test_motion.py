from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.minimatics.models import MOTIONS, Camera, Motion, Size
from studio.minimatics.motion import CameraPath, Still, View, camera_path, needed_size

Pixels = NDArray[Any]

FILM = Size(width=320, height=180)
BLACK = (0, 0, 0)

cameras = st.builds(Camera, x=st.floats(0, 1), y=st.floats(0, 1), zoom=st.floats(1, 10))
motions = st.builds(
    Motion, start=cameras, to=cameras, easing=st.sampled_from(["linear", "ease_in", "ease_out", "ease_in_out"])
)
pictures = st.tuples(st.integers(1, 8000), st.integers(1, 8000))


@given(motions, st.integers(1, 200), pictures)
def test_a_camera_that_fills_the_frame_never_leaves_the_picture(
    motion: Motion, frames: int, picture: tuple[int, int]
) -> None:
    path = camera_path(motion, frames, picture, FILM, "cover")
    for frame in range(0, frames, max(frames // 10, 1)):
        view = path.view(frame)
        for centre, extent in ((view.x, view.width), (view.y, view.height)):
            assert centre - extent / 2 >= -1e-9
            assert centre + extent / 2 <= 1 + 1e-9
        assert view.width * picture[0] / (view.height * picture[1]) == pytest.approx(16 / 9)


@given(motions, st.integers(2, 200))
def test_a_move_begins_and_ends_where_it_should(motion: Motion, frames: int) -> None:
    path = camera_path(motion, frames, (1600, 900), FILM, "stretch")
    for frame, camera, view in ((0, motion.start, path.start), (frames - 1, motion.to, path.to)):
        seen = path.view(frame)
        assert (seen.x, seen.y, seen.width) == pytest.approx((view.x, view.y, view.width))
        assert seen.width == pytest.approx(1 / camera.zoom)


def test_zooming_goes_at_one_rate_and_in_straight_lines() -> None:
    motion = Motion(start=Camera(x=0.1, y=0.9, zoom=1), to=Camera(x=0.8, y=0.3, zoom=4), easing="linear")
    path = camera_path(motion, 101, (1600, 900), FILM, "cover")
    views = [path.view(frame) for frame in range(101)]
    rates = np.diff([np.log(view.width) for view in views])
    assert np.ptp(rates) < 1e-12
    # A point of the picture, as the film shows it.
    shown = np.array([[(0.6 - v.x) / v.width, (0.4 - v.y) / v.height] for v in views])
    ways = shown - shown[0]
    across = ways[1:, 0] * ways[-1, 1] - ways[1:, 1] * ways[-1, 0]
    assert np.abs(across).max() < 1e-9


@pytest.mark.parametrize(
    ("fit", "view"),
    [("contain", (16 / 9, 1)), ("cover", (1, 9 / 16)), ("stretch", (1, 1))],
)
def test_fit_tells_what_zoom_1_shows(fit: Any, view: tuple[float, float]) -> None:
    path = camera_path(Motion(), 10, (500, 500), FILM, fit)
    assert (path.start.width, path.start.height) == pytest.approx(view)


def test_bars_are_where_the_picture_is_not_and_have_their_colour() -> None:
    white = np.full((200, 200, 3), 255, np.uint8)
    still = Still(white, camera_path(Motion(), 1, (200, 200), FILM, "contain"), FILM, (10, 20, 30))
    frame = still.frame(0)
    assert (frame[:, 70:250] == 255).all()
    assert (frame[:, :70] == (10, 20, 30)).all()
    assert (frame[:, 250:] == (10, 20, 30)).all()
    tall = np.full((300, 20, 3), 255, np.uint8)
    frame = Still(tall, camera_path(Motion(), 1, (20, 300), FILM, "stretch"), FILM, BLACK).frame(0)
    assert (frame == 255).all()


def dots(step: int, size: tuple[int, int]) -> Pixels:
    """Draw round dots on a grid, soft-edged and so of exact places."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    radius = np.hypot((x + 0.5) % step - step / 2, (y + 0.5) % step - step / 2)
    dots: Pixels = cv2.merge([(255 * np.clip(step / 5 - radius + 0.5, 0, 1)).astype(np.uint8)] * 3)
    return dots


def centre_of_mass(window: Pixels) -> tuple[float, float]:
    light = window.astype(np.float64)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    return float((light * x).sum() / light.sum()), float((light * y).sum() / light.sum())


@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize(
    "motion",
    [
        Motion.model_validate(MOTIONS["ken_burns_in"]),
        Motion.model_validate(MOTIONS["pan_right"]),
        Motion(start=Camera(zoom=2.5), to=Camera(x=0.4, y=0.6, zoom=1)),
        Motion(start=Camera(x=0.48), to=Camera(x=0.52, y=0.51, zoom=1.02), easing="linear"),
    ],
)
def test_dots_move_as_the_camera_does_without_jitter(motion: Motion, fit: Any) -> None:
    picture = dots(64, (1280, 960))
    frames = 60
    path = camera_path(motion, frames, (1280, 960), FILM, fit)
    still = Still(picture, path, FILM, BLACK)
    off = []
    for number in range(frames):
        frame, view = still.frame(number)[..., 0], path.view(number)
        for column in range(20):
            for row in range(15):
                # Where the dot must be in the film, from the camera's view alone.
                x = ((column + 0.5) / 20 - view.x) / view.width * FILM.width + FILM.width / 2
                y = ((row + 0.5) / 15 - view.y) / view.height * FILM.height + FILM.height / 2
                half = int(np.ceil(64 * FILM.width / 1280 / view.width * 0.3 + 1))
                left, top = round(x) - half, round(y) - half
                if left < 0 or top < 0 or left + 2 * half > FILM.width or top + 2 * half > FILM.height:
                    continue
                found = centre_of_mass(frame[top : top + 2 * half, left : left + 2 * half])
                off.append((found[0] + left - x, found[1] + top - y))
    assert len(off) > 500
    assert np.sqrt(np.mean(np.square(off), axis=0)).max() <= 0.05


def supersampled(picture: Pixels, view: View) -> Pixels:
    """Render four times as large, bicubically from the picture itself, and average."""
    height, width = picture.shape[:2]
    across, down = view.width * width / FILM.width / 4, view.height * height / FILM.height / 4
    way = np.array(
        [
            [across, 0, (view.x - view.width / 2) * width + across / 2 - 0.5],
            [0, down, (view.y - view.height / 2) * height + down / 2 - 0.5],
        ]
    )
    large = cv2.warpAffine(
        picture,
        way,
        (FILM.width * 4, FILM.height * 4),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(large, (FILM.width, FILM.height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("zoom", [1.0, 1.2, 3.0])
@pytest.mark.parametrize("scale", [1, 0.4])
def test_moves_look_as_if_they_were_supersampled(zoom: float, scale: float) -> None:
    picture = cv2.resize(skimage.data.coffee()[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    motion = Motion(start=Camera(x=0.45, y=0.55, zoom=zoom), to=Camera())
    path = camera_path(motion, 50, (picture.shape[1], picture.shape[0]), FILM, "cover")
    still = Still(picture, path, FILM, BLACK)
    for number in (0, 20, 29, 35, 49):
        assert cv2.PSNR(still.frame(number), supersampled(picture, path.view(number))) >= 40


def test_zooming_far_never_jumps() -> None:
    picture = skimage.data.coffee()[..., ::-1]
    motion = Motion(start=Camera(), to=Camera(x=0.4, y=0.4, zoom=6), easing="linear")
    still = Still(picture, camera_path(motion, 400, (600, 400), FILM, "cover"), FILM, BLACK)
    frames = [still.frame(number).astype(np.int16) for number in range(400)]
    steps = np.array([np.abs(after - before).mean() for before, after in pairwise(frames)])
    assert np.abs(np.diff(steps)).max() < 0.25 * steps.mean()


def test_a_far_zoom_into_a_huge_picture_takes_bounded_memory() -> None:
    path = camera_path(Motion(start=Camera(), to=Camera(zoom=10)), 10, (12_000, 8000), FILM, "cover")
    needed = needed_size(path, FILM)
    assert needed[0] * needed[1] < 10 * FILM.width * FILM.height
    assert needed_size(CameraPath(View(0.5, 0.5, 1, 1), View(0.5, 0.5, 1, 1), "linear", 10), FILM) == (480, 270)


@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
@pytest.mark.parametrize("upright", [False, True])
def test_a_pan_over_a_very_long_picture_is_sampled(upright: bool, fit: Any) -> None:
    film = Size(width=4096, height=64)
    ramp = np.linspace(0, 250, 70_000).astype(np.uint8)
    picture = cv2.merge([np.tile(ramp, (70, 1))] * 3)
    motion = Motion.model_validate(MOTIONS["pan_right"])
    if upright:
        film, picture = Size(width=64, height=4096), cv2.transpose(picture)
        motion = Motion.model_validate(MOTIONS["pan_down"])
    path = camera_path(motion, 3, (picture.shape[1], picture.shape[0]), film, fit)
    still = Still(picture, path, film, BLACK)
    for number in range(3):
        centre = path.view(number).y if upright else path.view(number).x
        shown = still.frame(number)[film.height // 2, film.width // 2, 0]
        assert shown == pytest.approx(250 * centre, abs=2)
