from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from studio.minimatics.models import Transition
from studio.minimatics.transitions import join, mix

RNG = np.random.default_rng(0)
FIRST = RNG.integers(0, 256, (36, 64, 3), np.uint8)
SECOND = RNG.integers(0, 256, (36, 64, 3), np.uint8)
WHITE, BLACK = np.full((36, 64, 3), 255, np.uint8), np.zeros((36, 64, 3), np.uint8)


def transition(kind: str, **options: Any) -> Any:
    return TypeAdapter(Transition).validate_python({"type": kind, "duration_frames": 9, **options})


def to_light(code: NDArray[Any]) -> NDArray[Any]:
    value = code / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.77, 1.0])
def test_mixing_is_of_light_and_exact_to_half_a_code(share: float) -> None:
    light = (1 - share) * to_light(FIRST) + share * to_light(SECOND)
    exact = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(mix(FIRST, SECOND, share) - exact).max() <= 0.5 + 1e-2


def test_half_of_white_is_what_half_its_light_looks_like() -> None:
    assert (join(transition("dissolve"), 0.5, BLACK, WHITE) == 188).all()


def test_a_fade_goes_through_its_colour() -> None:
    fade = transition("fade", colour="#ff8000")
    assert (join(fade, 0.5, FIRST, SECOND) == (0, 128, 255)).all()
    assert np.array_equal(join(fade, 1e-9, FIRST, SECOND), FIRST)
    assert np.array_equal(join(fade, 1 - 1e-9, FIRST, SECOND), SECOND)


@pytest.mark.parametrize(
    ("direction", "entered"),
    [
        ("left", np.s_[:, 48:]),
        ("right", np.s_[:, :16]),
        ("up", np.s_[27:, :]),
        ("down", np.s_[:9, :]),
    ],
)
def test_wipe_and_push_go_where_they_say(direction: str, entered: tuple[slice, slice]) -> None:
    wiped = join(transition("wipe", direction=direction), 0.25, FIRST, SECOND)
    outside = np.ones((36, 64), bool)
    outside[entered] = False
    assert np.array_equal(wiped[entered], SECOND[entered])
    assert np.array_equal(wiped[outside], FIRST[outside])
    pushed = join(transition("push", direction=direction), 0.25, WHITE, BLACK)
    assert (pushed[entered] == 0).all()
    assert (pushed[outside] == 255).all()


def test_an_edge_between_two_columns_is_of_both() -> None:
    wiped = join(transition("wipe"), 0.5 + 0.25 / 64, BLACK, WHITE)
    assert list(wiped[0, 30:33, 0]) == [0, 137, 255]
    pushed = join(transition("push"), 0.25 / 64, FIRST, SECOND)
    between = 0.75 * FIRST[:, :-1].astype(float) + 0.25 * FIRST[:, 1:]
    assert np.abs(pushed[:, :-1] - between).max() <= 4  # OpenCV places pixels to 1/32
