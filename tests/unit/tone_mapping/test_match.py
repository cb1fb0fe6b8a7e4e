from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import skimage.color
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import make_proxy
from studio.tone_mapping.grade import grade
from studio.tone_mapping.match import match
from studio.tone_mapping.read_adjustments import read_adjustments

Pixels = NDArray[Any]

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
DEGRADATIONS = (
    {"exposure": -1.2},
    {"exposure": 0.8, "contrast": -40},
    {"temperature": 40},
    {"temperature": -35, "tint": 20},
    {"tint": -30},
    {"saturation": -50},
    {"contrast": -50, "blacks": 40},
    {"shadows": -50, "highlights": 40, "saturation": 40},
    {"exposure": -1, "temperature": 30, "tint": -15, "saturation": -30},
)


def proxy_of(name: str) -> Pixels:
    """(h, w, 3) BGR."""
    return make_proxy(np.ascontiguousarray(getattr(skimage.data, name)()[..., ::-1]))


def graded(bgr: Pixels, adjustments: Adjustments) -> Pixels:
    rgb = np.ascontiguousarray(bgr[..., ::-1].astype(np.float32) / 255)
    pixels: Pixels = np.rint(grade(rgb, adjustments)[..., ::-1] * 255).astype(np.uint8)
    return pixels


def difference(one: Pixels, other: Pixels) -> float:
    """Mean CIEDE2000."""
    labs = [skimage.color.rgb2lab(pixels[..., ::-1]) for pixels in (one, other)]
    return float(skimage.color.deltaE_ciede2000(*labs).mean())


def sliders(adjustments: Adjustments) -> dict[str, float]:
    return {name: value for name, value in asdict(adjustments).items() if isinstance(value, float)}


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("degradation", DEGRADATIONS, ids=str)
def test_a_degraded_photo_comes_back_to_its_original(name: str, degradation: dict[str, float]) -> None:
    original = proxy_of(name)
    degraded = graded(original, read_adjustments(degradation))
    matched = match(degraded, original)
    before, after = difference(degraded, original), difference(graded(degraded, matched.adjustments), original)
    assert after < before / 2
    assert matched.confidence > 0.9
    assert any(step.applied for step in matched.steps[:3])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    low=st.integers(0, 255),
    high=st.integers(0, 255),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_identical_pictures_need_no_sliders(
    seed: int, height: int, width: int, low: int, high: int, dtype: type[Any]
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(min(low, high), max(low, high) + 1, (height, width, 3)).astype(dtype)
    matched = match(pixels, pixels)
    assert not any(sliders(matched.adjustments).values())
    assert matched.confidence == 1


def test_the_bits_of_a_picture_do_not_matter() -> None:
    coffee, chelsea = proxy_of("coffee"), proxy_of("chelsea")
    assert max(abs(value) for value in sliders(match(coffee.astype(np.uint16) * 257, coffee).adjustments).values()) <= 1
    assert match(coffee.astype(np.uint16) * 257, chelsea).confidence == match(coffee, chelsea).confidence


def test_a_part_of_the_same_scene_is_matched_too() -> None:
    """As adjacent shots are: here the picture has lost a third of the reference's width."""
    original = proxy_of("chelsea")
    cut = original[:, original.shape[1] // 3 :]
    degraded = graded(cut, Adjustments(exposure=-1, temperature=-30))
    assert difference(graded(degraded, match(degraded, original).adjustments), cut) < difference(degraded, cut) / 2


def scene(vivid: tuple[int, int, int]) -> Pixels:
    """Half a scale of greys, half one vivid BGR colour in as many tones."""
    scale = np.linspace(0.05, 1, 200)[:, None, None]
    greys = np.broadcast_to(scale * 230, (200, 100, 3))
    colours = np.broadcast_to(scale * np.array(vivid), (200, 100, 3))
    pixels: Pixels = np.rint(np.hstack([greys, colours])).astype(np.uint8)
    return pixels


def test_what_a_picture_shows_is_no_cast() -> None:
    beach, forest = scene((120, 190, 225)), scene((60, 150, 40))
    matched = match(beach, forest)
    assert abs(matched.adjustments.temperature) <= 10
    assert abs(matched.adjustments.tint) <= 10
    assert matched.confidence < 0.7
    # A cast over the same scene is one: the greys have it.
    assert match(graded(beach, Adjustments(tint=-30)), beach).adjustments.tint > 20


@pytest.mark.parametrize(("name", "reference"), [("astronaut", "coffee"), ("rocket", "chelsea"), ("coffee", "rocket")])
def test_another_scene_moves_colours_only_a_little(name: str, reference: str) -> None:
    matched = match(proxy_of(name), proxy_of(reference))
    assert max(abs(matched.adjustments.temperature), abs(matched.adjustments.tint)) <= 50
    assert matched.confidence < 0.8
    assert matched.steps[-1].applied


def test_a_black_and_white_reference_takes_the_colours() -> None:
    original = proxy_of("astronaut")
    grey = graded(original, Adjustments(saturation=-100, exposure=0.5))
    matched = match(original, grey)
    assert matched.adjustments.saturation == -100
    assert (matched.adjustments.temperature, matched.adjustments.tint) == (0, 0)
    assert difference(graded(original, matched.adjustments), grey) < 2


def test_a_black_and_white_picture_stays_so() -> None:
    grey = graded(proxy_of("astronaut"), Adjustments(saturation=-100, exposure=-1))
    matched = match(grey, proxy_of("coffee"))
    assert (matched.adjustments.temperature, matched.adjustments.tint, matched.adjustments.saturation) == (0, 0, 0)
    assert match(grey, graded(grey, Adjustments(exposure=1))).adjustments.exposure > 0.5


@pytest.mark.parametrize("level", [0, 255])
def test_empty_pictures_are_no_trouble(level: int) -> None:
    empty = np.full((4, 4, 3), level, np.uint8)
    for one, other in ((empty, proxy_of("coffee")), (proxy_of("coffee"), empty)):
        assert all(np.isfinite(value) for value in sliders(match(one, other).adjustments).values())


@pytest.mark.parametrize(("own", "reference"), [("astronaut", "rocket"), ("coffee", "rocket")])
def test_a_picture_of_something_else_is_not_veiled(own: str, reference: str) -> None:
    """The reference lacks white or black for what it shows."""
    found = match(proxy_of(own), proxy_of(reference))
    assert found.confidence == 0.4, "wholly unlike"
    assert found.adjustments.contrast >= 0
    assert found.adjustments.whites >= 0
    assert found.adjustments.blacks <= 0


def test_the_answer_is_always_the_same() -> None:
    picture, reference = proxy_of("rocket"), proxy_of("coffee")
    assert len({match(picture, reference) for _ in range(5)}) == 1
