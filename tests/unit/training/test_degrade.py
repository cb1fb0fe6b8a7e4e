from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from training.degrade import (
    OUR_CLASSES,
    Camera,
    draw_camera,
    draw_far_camera,
    draw_near_camera,
    metered,
    seeded,
    spoil,
    wrong_white_balance,
)

PHOTOGRAPH: NDArray[np.uint8] = np.ascontiguousarray(skimage.data.astronaut()[::4, ::4, ::-1])


def cameras() -> list[Camera]:
    drawn = [draw_camera(seeded("camera", number)) for number in range(5)]
    return drawn + [draw_far_camera(seeded("far", number)) for number in range(5)]


@pytest.mark.parametrize("camera", cameras())
def test_a_camera_that_is_set_right_changes_nothing(camera: Camera) -> None:
    right = wrong_white_balance(PHOTOGRAPH, replace(camera, preset=camera.light, green=0.0))
    difference = np.abs(right * 255 - PHOTOGRAPH)
    assert np.percentile(difference, 95) < 1  # the rest lies beyond the camera's own gamut
    assert difference.mean() < 0.5


@pytest.mark.parametrize("camera", cameras())
@pytest.mark.parametrize(("preset", "blue_over_red"), [(2850.0, 1), (7500.0, -1)])
def test_grey_turns_blue_where_the_preset_is_warmer_than_the_light(
    camera: Camera, preset: float, blue_over_red: int
) -> None:
    grey = np.full((1, 1, 3), 128, np.uint8)
    blue, green, red = wrong_white_balance(grey, replace(camera, light=4500, preset=preset, green=0.0))[0, 0]
    assert (blue - red) * blue_over_red > 0.1
    assert min(red, blue) < green < max(red, blue)


def test_white_is_held_or_takes_the_cast() -> None:
    white = np.full((1, 1, 3), 255, np.uint8)
    camera = replace(cameras()[0], light=6500, preset=2850)
    held, cast = (wrong_white_balance(white, replace(camera, holds_white=holds))[0, 0] for holds in (True, False))
    np.testing.assert_allclose(held, 1, atol=1e-3)
    assert cast[0] - cast[2] > 0.1


def test_cameras_are_set_wrong_enough_to_be_seen() -> None:
    for number in range(200):
        camera = draw_camera(seeded(number))
        assert abs(1e6 / camera.light - 1e6 / camera.preset) >= 25


def test_far_cameras_are_set_wrong_by_more() -> None:
    cameras = [draw_far_camera(seeded(number)) for number in range(200)]
    assert min(abs(1e6 / camera.light - 1e6 / camera.preset) for camera in cameras) >= 40


def test_most_that_is_metered_is_darker() -> None:
    means = [metered(PHOTOGRAPH, seeded(number)).mean() for number in range(50)]
    assert np.mean(means) < 0.85 * PHOTOGRAPH.mean()
    assert max(means) > PHOTOGRAPH.mean()


def test_near_cameras_are_set_wrong_by_less_and_stay_on_the_locus() -> None:
    cameras = [draw_near_camera(seeded(number)) for number in range(200)]
    wrong_by = [abs(1e6 / camera.light - 1e6 / camera.preset) for camera in cameras]
    assert min(wrong_by) >= 25
    assert max(wrong_by) <= 100
    assert max(abs(camera.green) for camera in cameras) < 0.25


@pytest.mark.parametrize("name", OUR_CLASSES)
def test_the_same_seed_spoils_alike(name: str) -> None:
    one, other = (spoil(PHOTOGRAPH, name, seeded(name)) for _ in range(2))
    assert (one == other).all()
    assert (one == PHOTOGRAPH).all() == (name == "good")
