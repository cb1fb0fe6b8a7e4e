from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.grade import bend, grade, luminance, to_encoded, to_linear, white_balance_gains
from tests.unit.tone_mapping.sliders import PLAIN, moved

CODE = 1 / 255
FULL = st.integers(-100, 100)
TONES = dict.fromkeys(("contrast", "highlights", "shadows", "whites", "blacks"), FULL)
COLOURS = dict.fromkeys(("vibrance", "saturation"), FULL)
BALANCE = dict.fromkeys(("temperature", "tint"), FULL)
EXPOSURE = {"exposure": st.floats(-5, 5).map(lambda value: round(value, 2))}


def adjustments(**sliders: st.SearchStrategy[Any]) -> st.SearchStrategy[Adjustments]:
    return st.builds(Adjustments, **sliders)


def colours(count: int = 2000) -> NDArray[Any]:
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T
    colours: NDArray[Any] = np.concatenate([corners, np.random.default_rng(0).random((count, 3))]).astype(np.float32)
    return colours


GREYS = np.repeat(np.linspace(0, 1, 1024, dtype=np.float32)[:, None], 3, axis=1)


def test_srgb_transfer_functions_are_each_others_inverse_and_hit_the_standards_values() -> None:
    codes = np.linspace(0, 1, 4096, dtype=np.float32)
    np.testing.assert_allclose(to_encoded(to_linear(codes)), codes, atol=1e-6)
    np.testing.assert_allclose(to_linear(np.array([0, 0.04045, 0.5, 1])), [0, 0.0031308, 0.2140411, 1], atol=1e-6)


def test_zero_sliders_are_the_identity() -> None:
    np.testing.assert_allclose(grade(colours(), Adjustments()), colours(), atol=1e-5)


@pytest.mark.parametrize("slider", PLAIN)
def test_tiny_sliders_are_nearly_the_identity(slider: str) -> None:
    """No slider jumps away from zero."""
    for percent in (-0.01, 0.01):
        np.testing.assert_allclose(grade(colours(), moved(slider, percent)), colours(), atol=CODE / 2)


@pytest.mark.parametrize("slider", PLAIN)
@pytest.mark.parametrize("percent", [-50, 50])
def test_every_slider_does_something(slider: str, percent: float) -> None:
    assert np.abs(grade(colours(), moved(slider, percent)) - colours()).mean() > 0.5 * CODE


@given(adjustments(**EXPOSURE, **TONES, **COLOURS, **BALANCE))
@settings(max_examples=150, deadline=None)
def test_any_grade_stays_finite_and_within_range(sliders: Adjustments) -> None:
    graded = grade(colours(500), sliders)
    assert graded.dtype == np.float32
    assert np.isfinite(graded).all()
    assert graded.min() >= 0
    assert graded.max() <= 1


@given(adjustments(**EXPOSURE, **TONES, **COLOURS))
@settings(max_examples=150, deadline=None)
def test_neutrals_stay_neutral_without_white_balance(sliders: Adjustments) -> None:
    graded = grade(GREYS, sliders)
    assert np.ptp(graded, axis=1).max() < CODE / 4


@given(adjustments(**EXPOSURE, **TONES))
@settings(max_examples=150, deadline=None)
def test_greys_keep_their_order(sliders: Adjustments) -> None:
    graded = grade(GREYS, sliders)[:, 1]
    assert np.diff(graded).min() >= -1e-5


@given(st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=100, deadline=None)
def test_more_exposure_is_nowhere_darker(one: float, other: float) -> None:
    darker = grade(colours(500), Adjustments(exposure=min(one, other)))
    brighter = grade(colours(500), Adjustments(exposure=max(one, other)))
    assert (brighter - darker).min() >= -1e-5


@given(adjustments(**TONES, **COLOURS, **BALANCE), st.floats(-5, 4.9))
@settings(max_examples=100, deadline=None)
def test_more_exposure_is_nowhere_darker_whatever_else_is_set(sliders: Adjustments, exposure: float) -> None:
    def light(exposure: float) -> NDArray[Any]:
        graded = grade(GREYS, sliders.model_copy(update={"exposure": exposure}))
        return luminance(to_linear(graded).T)

    # A tinted highlight that meets the top gives up some luminance for its colour: less than half a code.
    assert (light(exposure + 0.1) - light(exposure)).min() >= -0.002


def test_exposure_doubles_light_below_the_shoulder_and_does_not_clip() -> None:
    graded = grade(GREYS, Adjustments(exposure=1.0))[:, 1]
    light, graded_light = to_linear(GREYS[:, 1]), to_linear(graded)
    below = light < 0.3
    np.testing.assert_allclose(graded_light[below], 2 * light[below], atol=1e-4)
    assert (np.diff(graded) > 0).all()  # full white alone is white


def test_negative_exposure_halves_light_everywhere() -> None:
    graded = grade(colours(), Adjustments(exposure=-1.0))
    np.testing.assert_allclose(to_linear(graded), to_linear(colours()) / 2, atol=1e-4)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_white_balance_gains_keep_the_luminance_of_grey(temperature: float, tint: float) -> None:
    gains = white_balance_gains(temperature, tint)
    assert float(luminance(gains[:, None])[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("sliders", "red", "green", "blue"),
    [
        (Adjustments(temperature=50), 1, 0, -1),
        (Adjustments(temperature=-50), -1, 0, 1),
        (Adjustments(tint=50), 1, -1, 1),
        (Adjustments(tint=-50), -1, 1, -1),
    ],
)
def test_directions_of_white_balance(sliders: Adjustments, red: int, green: int, blue: int) -> None:
    moved = grade(np.full((1, 3), 0.5, np.float32), sliders)[0] - 0.5
    for channel, sign in zip(moved, (red, green, blue), strict=True):
        if sign:
            assert np.sign(channel) == sign


def test_full_white_keeps_its_colour_under_white_balance() -> None:
    graded = grade(np.ones((1, 3), np.float32), Adjustments(temperature=60, tint=20))
    np.testing.assert_allclose(graded, 1, atol=1e-5)


@given(adjustments(contrast=FULL, shadows=FULL, highlights=FULL))
@settings(max_examples=100, deadline=None)
def test_the_tone_curve_rises_with_bounded_slope_and_fixed_ends(sliders: Adjustments) -> None:
    tones = np.linspace(0, 1, 1001, dtype=np.float32)
    bent = bend(tones, sliders)
    slope = np.diff(bent) / np.diff(tones)
    assert bent[0] == 0
    assert bent[-1] == pytest.approx(1, abs=1e-5)
    assert slope.min() > 0
    assert slope.max() < 8


@given(adjustments(contrast=FULL, shadows=FULL, highlights=FULL))
@settings(max_examples=50, deadline=None)
def test_the_tone_curve_keeps_hue(sliders: Adjustments) -> None:
    """Linear channels keep the order and the place of the middle one between the others, unless the gamut ends."""
    before = to_linear(colours(300) * np.float32(0.6))
    after = to_linear(grade(colours(300) * np.float32(0.6), sliders))

    def hue(linear: NDArray[Any]) -> NDArray[Any]:
        low, middle, high = np.sort(linear, axis=1).T
        place: NDArray[Any] = (middle - low) / np.maximum(high - low, 1e-3)
        return place

    vivid = np.ptp(before, axis=1) > 0.02
    vivid &= np.ptp(after, axis=1) > 0.02
    np.testing.assert_allclose(hue(after)[vivid], hue(before)[vivid], atol=0.02)


def test_saturation_minus_100_is_grey_of_the_same_luminance() -> None:
    graded = grade(colours(), Adjustments(saturation=-100))
    assert np.ptp(graded, axis=1).max() < 1e-4
    np.testing.assert_allclose(luminance(to_linear(graded).T), luminance(to_linear(colours()).T), atol=1e-4)


def test_saturation_keeps_luminance_and_never_clips_a_colour() -> None:
    inside = np.random.default_rng(1).uniform(0.2, 0.8, (1000, 3)).astype(np.float32)
    graded = grade(inside, Adjustments(saturation=100, vibrance=100))
    np.testing.assert_allclose(luminance(to_linear(graded).T), luminance(to_linear(inside).T), atol=1e-4)
    assert graded.min() > 0
    assert graded.max() < 1


def test_vibrance_moves_dull_colours_more_than_vivid_ones_and_skin_less() -> None:
    def gain(rgb: list[float]) -> float:
        before = np.array([rgb], np.float32)
        after = grade(before, Adjustments(vibrance=60))
        return float(np.ptp(to_linear(after)) / np.ptp(to_linear(before)))

    assert gain([0.5, 0.55, 0.6]) > gain([0.2, 0.5, 0.9]) > 1
    assert gain([0.7, 0.55, 0.47]) < gain([0.47, 0.55, 0.7])


@pytest.mark.parametrize(
    ("sliders", "expected"),
    [
        (Adjustments(exposure=1), [0.6591, 0.4189, 0.2854]),
        (Adjustments(exposure=-1), [0.3458, 0.2110, 0.1360]),
    ],
)
def test_golden_exposure(sliders: Adjustments, expected: list[float]) -> None:
    """Computed by hand from IEC 61966-2-1: linear light doubled and halved."""
    graded = grade(np.array([[0.48, 0.3, 0.2]], np.float32), sliders)[0]
    np.testing.assert_allclose(graded, expected, atol=1e-4)


def test_shape_is_kept() -> None:
    assert grade(np.zeros((4, 5, 3), np.float32), Adjustments(exposure=1)).shape == (4, 5, 3)
