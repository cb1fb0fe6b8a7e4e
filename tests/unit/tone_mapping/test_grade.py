from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment, ToneCurve
from studio.tone_mapping.colour import gamut_fraction, luminance, to_encoded, to_linear
from studio.tone_mapping.grade import bend, grade
from studio.tone_mapping.white_balance import white_balance_gains
from tests.unit.tone_mapping.sliders import GLOBAL, HUES, moved

CODE = 1 / 255
FULL = st.integers(-100, 100)
TONES = dict.fromkeys(("contrast", "highlights", "shadows", "whites", "blacks"), FULL)
COLOURS = dict.fromkeys(("vibrance", "saturation"), FULL)
BALANCE = dict.fromkeys(("temperature", "tint"), FULL)
EXPOSURE = {"exposure": st.floats(-5, 5).map(lambda value: round(value, 2))}


HSL = {
    "hsl": st.builds(Hsl, **{hue: st.builds(HueAdjustment, hue=FULL, saturation=FULL, luminance=FULL) for hue in HUES})
}
KELVIN = {"temperature_kelvin": st.none() | st.floats(20, 500).map(lambda mireds: 1e6 / mireds)}


@st.composite
def points(draw: st.DrawFn, rising: bool = False) -> tuple[tuple[float, float], ...]:
    codes = sorted(draw(st.sets(st.integers(0, 255), max_size=8)))
    outputs = [draw(st.integers(0, 255)) / 255 for _ in codes]
    outputs = sorted(outputs) if rising else outputs
    return tuple((code / 255, y) for code, y in zip(codes, outputs, strict=True)) if len(codes) > 1 else ()


CURVES = {"tone_curve": st.builds(ToneCurve, rgb=points(), red=points(), green=points(), blue=points())}
RGB_CURVE = {"tone_curve": st.builds(ToneCurve, rgb=points())}
RISING_CURVE = {"tone_curve": st.builds(ToneCurve, rgb=points(rising=True))}


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


@pytest.mark.parametrize("slider", GLOBAL)
def test_tiny_sliders_are_nearly_the_identity(slider: str) -> None:
    """No slider jumps away from zero."""
    for percent in (-0.01, 0.01):
        np.testing.assert_allclose(grade(colours(), moved(slider, percent)), colours(), atol=CODE / 2)


@pytest.mark.parametrize("slider", GLOBAL)
@pytest.mark.parametrize("percent", [-50, 50])
def test_every_slider_does_something(slider: str, percent: float) -> None:
    assert np.abs(grade(colours(), moved(slider, percent)) - colours()).mean() > 0.5 * CODE


@given(
    adjustments(**EXPOSURE, **TONES, **COLOURS, **BALANCE, **CURVES, **HSL)
    | adjustments(**EXPOSURE, **TONES, **COLOURS, **KELVIN, tint=FULL)
)
@settings(max_examples=150, deadline=None)
def test_any_grade_stays_finite_and_within_range(sliders: Adjustments) -> None:
    graded = grade(colours(500), sliders)
    assert graded.dtype == np.float32
    assert np.isfinite(graded).all()
    assert graded.min() >= 0
    assert graded.max() <= 1


@given(adjustments(**EXPOSURE, **TONES, **COLOURS, **RGB_CURVE, **HSL))
@settings(max_examples=150, deadline=None)
def test_neutrals_stay_neutral_without_white_balance(sliders: Adjustments) -> None:
    graded = grade(GREYS, sliders)
    assert np.ptp(graded, axis=1).max() < CODE / 4


@given(adjustments(**EXPOSURE, **TONES, **RISING_CURVE, **HSL))
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


@given(
    adjustments(**TONES, **COLOURS, **BALANCE) | adjustments(**TONES, **COLOURS, **KELVIN, tint=FULL),
    st.floats(-5, 4.9),
)
@settings(max_examples=100, deadline=None)
def test_more_exposure_is_nowhere_darker_whatever_else_is_set(sliders: Adjustments, exposure: float) -> None:
    def light(exposure: float) -> NDArray[Any]:
        graded = grade(GREYS, replace(sliders, exposure=exposure))
        return luminance(to_linear(graded).T)

    assert (light(exposure + 0.1) - light(exposure)).min() >= -1e-5


def test_exposure_doubles_light_below_the_shoulder_and_does_not_clip() -> None:
    graded = grade(GREYS, Adjustments(exposure=1.0))[:, 1]
    light, graded_light = to_linear(GREYS[:, 1]), to_linear(graded)
    below = light < 0.25
    np.testing.assert_allclose(graded_light[below], 2 * light[below], atol=1e-4)
    assert (np.diff(graded) > 0).all()  # full white alone is white


def test_clouds_keep_their_shape_when_exposure_rises() -> None:
    """By hand: 0.8 is 0.604 of full light, comes to 1.209 and rolls off to 0.925, which is 246."""
    (cloud,) = grade(np.full((1, 3), 0.8, np.float32), Adjustments(exposure=1.0))
    np.testing.assert_allclose(cloud * 255, 246, atol=1)


def test_negative_exposure_halves_light_everywhere() -> None:
    graded = grade(colours(), Adjustments(exposure=-1.0))
    np.testing.assert_allclose(to_linear(graded), to_linear(colours()) / 2, atol=1e-4)


@pytest.mark.parametrize(
    ("sliders", "red", "green", "blue"),
    [
        (Adjustments(temperature=50), 1, 0, -1),
        (Adjustments(temperature=-50), -1, 0, 1),
        (Adjustments(temperature_kelvin=9000), 1, 0, -1),
        (Adjustments(temperature_kelvin=4500), -1, 0, 1),
        (Adjustments(tint=50), 1, -1, 1),
        (Adjustments(tint=50, temperature_kelvin=6500), 1, -1, 1),
        (Adjustments(tint=-50), -1, 1, -1),
    ],
)
def test_directions_of_white_balance(sliders: Adjustments, red: int, green: int, blue: int) -> None:
    moved = grade(np.full((1, 3), 0.5, np.float32), sliders)[0] - 0.5
    for channel, sign in zip(moved, (red, green, blue), strict=True):
        if sign:
            assert np.sign(channel) == sign


@pytest.mark.parametrize(
    "sliders",
    [moved(name, way * 100) for name in ("temperature", "tint") for way in (-1, 1)]
    + [Adjustments(temperature_kelvin=kelvin) for kelvin in (3000.0, 50_000.0)],
)
def test_white_balance_tears_no_sky_that_fades_into_white(sliders: Adjustments) -> None:
    """One code of input is six of output at most, and more is never less."""
    greys = np.repeat(np.arange(256, dtype=np.float32)[:, None] / 255, 3, axis=1)
    steps = np.diff(grade(greys, sliders), axis=0) * 255
    assert steps.min() > -0.1
    assert steps.max() < 6


@pytest.mark.parametrize(
    "sliders",
    [
        Adjustments(temperature=60, tint=20),
        Adjustments(temperature_kelvin=2000),
        Adjustments(temperature_kelvin=50_000, tint=-40),
    ],
)
def test_full_white_keeps_its_colour_under_white_balance(sliders: Adjustments) -> None:
    graded = grade(np.ones((1, 3), np.float32), sliders)
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


@pytest.mark.parametrize(
    ("sliders", "expected"),
    [
        (Adjustments(contrast=100), [0.1870, 0.46, 0.8370]),
        (Adjustments(contrast=-100), [0.3130, 0.46, 0.6630]),
        (Adjustments(shadows=100), [0.4082, 0.5687, 0.7676]),
        (Adjustments(shadows=-100), [0.1604, 0.3984, 0.7400]),
        (Adjustments(highlights=100), [0.2605, 0.5073, 0.8449]),
        (Adjustments(highlights=-100), [0.2348, 0.3917, 0.6129]),
    ],
)
def test_golden_tone_curve(sliders: Adjustments, expected: list[float]) -> None:
    """Computed by hand: at 0.25, contrast adds 1.6 * 0.25 * 0.75 * (0.25 - 0.46), and so on."""
    np.testing.assert_allclose(bend(np.array([0.25, 0.46, 0.75], np.float32), sliders), expected, atol=2e-4)


@pytest.mark.parametrize("way", [-100, 100])
def test_shadows_are_of_dark_tones_and_highlights_of_bright_ones(way: float) -> None:
    codes = np.array([32, 64, 128, 192, 224], np.float32)
    by_shadows, by_highlights = (
        abs(255 * bend(codes / 255, sliders) - codes)
        for sliders in (Adjustments(shadows=way), Adjustments(highlights=way))
    )
    for near, middle, far in (by_shadows[[1, 2, 3]], by_highlights[[3, 2, 1]]):
        assert near > 20
        assert middle < near
        assert far < 0.25 * near
    assert by_shadows[0] > 8 * by_shadows[-1]
    assert by_highlights[-1] > 8 * by_highlights[0]


@pytest.mark.parametrize(
    ("whites", "expected"),
    [(100, [26, 82, 155, 238, 255]), (40, [26, 78, 133, 194, 255]), (-100, [25, 75, 120, 157, 191])],
)
def test_whites_move_bright_tones_and_leave_dark_ones(whites: int, expected: list[int]) -> None:
    """Computed by hand but for the shoulder: 0.3 and 0.5 come to 0.3 + 0.875 * 0.3 ** 3 and so on at 100."""
    tones = np.array([[0.1] * 3, [0.3] * 3, [0.5] * 3, [0.7] * 3, [1] * 3], np.float32)
    np.testing.assert_allclose(grade(tones, Adjustments(whites=whites))[:, 0] * 255, expected, atol=1)


@pytest.mark.parametrize("others", [Adjustments(), Adjustments(blacks=-50), Adjustments(temperature=60)])
def test_more_whites_are_nowhere_darker(others: Adjustments) -> None:
    """Not in vivid colours either, which whites move less than white."""
    raised = [grade(colours(), replace(others, whites=whites)) for whites in range(0, 101, 10)]
    assert np.diff(np.stack(raised), axis=0).min() >= -1e-5


@given(adjustments(contrast=FULL, shadows=FULL, highlights=FULL))
@settings(max_examples=50, deadline=None)
def test_the_tone_curve_keeps_hue(sliders: Adjustments) -> None:
    """Unless the gamut ends."""
    inside = colours(300) * np.float32(0.6)
    assert_same_hues(grade(inside, sliders), inside)


@given(adjustments(**BALANCE), st.floats(0, 3), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_exposure_and_whites_keep_the_hue_that_white_balance_gives(
    balance: Adjustments, exposure: float, whites: int
) -> None:
    """Skin that nears white does not turn yellow, nor the sky cyan."""
    brighter = replace(balance, exposure=exposure, whites=whites)
    assert_same_hues(grade(colours(300), brighter), grade(colours(300), balance))


@given(adjustments(**BALANCE), st.floats(-3, 0), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_a_lowered_exposure_keeps_the_hue_of_what_white_balance_does_not_roll_off(
    balance: Adjustments, exposure: float, whites: int
) -> None:
    dark = colours(300) * np.float32(0.4)
    assert_same_hues(grade(dark, replace(balance, exposure=exposure, whites=whites)), grade(dark, balance))


def test_a_cloud_that_is_warmed_and_darkened_is_orange() -> None:
    """By hand: red, green and blue times the gains of the balance and a quarter; no channel comes to the shoulder."""
    cloud = np.array([[230, 226, 205]], np.float32) / 255
    expected = to_encoded(to_linear(cloud) * white_balance_gains(100, 0) / 4)
    np.testing.assert_allclose(grade(cloud, Adjustments(temperature=100, exposure=-2)), expected, atol=2 / 255)


def assert_same_hues(one: NDArray[Any], other: NDArray[Any]) -> None:
    """Linear channels have the same order and the same place of the middle one between the others."""
    pair = np.stack([to_linear(one), to_linear(other)])
    pair = pair[:, (np.ptp(pair, axis=2) > 0.02).all(axis=0)]
    low, high = pair.min(axis=2, keepdims=True), pair.max(axis=2, keepdims=True)
    place = (pair - low) / (high - low)
    np.testing.assert_allclose(place[0], place[1], atol=0.02)


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


def vibrance_gain(linear: NDArray[Any]) -> float:
    graded = to_linear(grade(to_encoded(linear), Adjustments(vibrance=60)))
    return float(np.ptp(graded) / np.ptp(linear))


def test_vibrance_moves_dull_colours_more_than_vivid_ones() -> None:
    dull, vivid = (to_linear(np.array(rgb, np.float32)) for rgb in ([0.5, 0.55, 0.6], [0.2, 0.5, 0.9]))
    assert vibrance_gain(dull) > vibrance_gain(vivid) > 1


def test_vibrance_moves_skin_less_than_other_hues_as_far_from_grey() -> None:
    def colour(red: float, green: float, blue: float) -> NDArray[Any]:
        """Return a colour of this hue on the luminance 0.3, 40 % of the way to the gamut's edge."""
        hue = np.array([red, green, blue], np.float32)
        away = hue - luminance(hue)
        return 0.3 + away * (0.4 / gamut_fraction(0.3 + away, np.array(0.3, np.float32)))

    skin, sky, leaf = colour(1, 0.4, 0), colour(0, 0.4, 1), colour(0.4, 1, 0)
    for other in (sky, leaf):
        assert gamut_fraction(skin, luminance(skin)) == pytest.approx(gamut_fraction(other, luminance(other)), abs=1e-4)
        assert vibrance_gain(skin) < vibrance_gain(other) - 0.05
    assert vibrance_gain(skin) > 1


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


@pytest.mark.parametrize(
    ("kelvin", "expected"), [(5000, [0.45867, 0.50373, 0.57173]), (10_000, [0.53648, 0.49540, 0.42609])]
)
def test_golden_kelvin(kelvin: float, expected: list[float]) -> None:
    """By colour-science 0.4: Bradford between whites of Kang et al. (2002), scaled to the luminance of the grey."""
    graded = grade(np.array([[0.5, 0.5, 0.5]], np.float32), Adjustments(temperature_kelvin=kelvin))[0]
    np.testing.assert_allclose(graded, expected, atol=1e-4)


def test_the_curve_of_all_channels_bends_the_ends_and_keeps_the_middle_s_place() -> None:
    """By hand: 0.2 to 0.1, 0.8 to 0.9; 0.35 is a quarter of the way between them, so it comes to 0.3."""
    curve = ToneCurve(rgb=((0, 0), (0.2, 0.1), (0.8, 0.9), (1, 1)))
    graded = grade(np.array([[0.8, 0.35, 0.2]], np.float32), Adjustments(tone_curve=curve))[0]
    np.testing.assert_allclose(graded, [0.9, 0.3, 0.1], atol=1e-3)


def test_a_channel_s_curve_bends_it_alone_after_that_of_all() -> None:
    curve = ToneCurve(rgb=((0, 0.2), (1, 0.8)), blue=((0, 1), (1, 0)))
    graded = grade(np.array([[0.5, 0.5, 0.0]], np.float32), Adjustments(tone_curve=curve))[0]
    np.testing.assert_allclose(graded, [0.5, 0.5, 0.8], atol=1e-4)


@pytest.mark.parametrize("blacks", [-10, -50, -100])
@pytest.mark.parametrize("others", [Adjustments(), Adjustments(contrast=30), Adjustments(exposure=0.5, temperature=40)])
def test_a_lowered_black_point_holds_white(blacks: int, others: Adjustments) -> None:
    """Or the dither would speckle paper white."""
    assert grade(GREYS[-1:], replace(others, blacks=blacks)).min() > 1 - 1e-6


def test_lifted_black_and_lowered_white_are_where_they_say_whatever_the_contrast() -> None:
    ends = grade(GREYS[[0, -1]], Adjustments(blacks=100, whites=-100, contrast=80, shadows=-50))[:, 0]
    np.testing.assert_allclose(ends, [0.2, 0.75], atol=1e-4)


def test_shape_is_kept() -> None:
    assert grade(np.zeros((4, 5, 3), np.float32), Adjustments(exposure=1)).shape == (4, 5, 3)
