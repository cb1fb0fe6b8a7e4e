import colorsys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment
from studio.tone_mapping.colour import luminance, to_encoded, to_linear
from studio.tone_mapping.grade import grade
from studio.tone_mapping.hsl import CENTRES, adjust_hues, hue_turns, weights

HUES = [hue.name for hue in fields(Hsl)]
SLIDER = st.integers(-100, 100)
EXTREME = st.sampled_from([-100, 0, 100])
TURNS = st.builds(Hsl, **{hue: st.builds(HueAdjustment, hue=SLIDER | EXTREME) for hue in HUES})
ANY = st.builds(
    Hsl,
    **{
        hue: st.builds(HueAdjustment, hue=SLIDER | EXTREME, saturation=SLIDER, luminance=SLIDER | EXTREME)
        for hue in HUES
    },
)


def planes(count: int = 2000) -> NDArray[Any]:
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1)
    random = np.random.default_rng(0).random((3, count))
    made: NDArray[Any] = np.concatenate([corners, random], axis=1).astype(np.float32)
    return made


def colour(degrees: float, saturation: float = 0.6, value: float = 0.7) -> NDArray[Any]:
    made: NDArray[Any] = np.array(colorsys.hsv_to_rgb(degrees / 360, saturation, value), np.float32)[:, None]
    return made


def hue_of(rgb: NDArray[Any]) -> float:
    return colorsys.rgb_to_hsv(*(float(value) for value in rgb[:, 0]))[0] * 360


def one(of: str, **sliders: float) -> Hsl:
    return Hsl(**{of: HueAdjustment(**sliders)})


def every(**sliders: float) -> Hsl:
    return Hsl(*[HueAdjustment(**sliders)] * len(HUES))


def test_weights_are_shares_of_one_and_whole_at_the_centres() -> None:
    shares = weights(np.linspace(0, 360, 3601))
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert shares.min() >= 0
    np.testing.assert_allclose(weights(np.array(CENTRES, float)), np.eye(8), atol=1e-12)
    np.testing.assert_allclose(weights(np.array([15.0, 330.0, 360.0]))[0], [0.5, 0.5, 1])


def test_sliders_at_rest_are_the_identity() -> None:
    assert adjust_hues(planes(), Hsl()) is not None
    np.testing.assert_array_equal(adjust_hues(planes(), Hsl()), planes())


@given(ANY)
@settings(max_examples=200, deadline=None)
def test_any_sliders_stay_finite_and_within_range(hsl: Hsl) -> None:
    adjusted = adjust_hues(planes(), hsl)
    assert adjusted.dtype == np.float32
    assert np.isfinite(adjusted).all()
    assert adjusted.min() >= -1e-5
    assert adjusted.max() <= 1 + 1e-5


@given(ANY)
@settings(max_examples=100, deadline=None)
def test_neutrals_stay_exactly_neutral_and_near_ones_near(hsl: Hsl) -> None:
    greys = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[None], 3, axis=0)
    adjusted = adjust_hues(greys, hsl)
    assert (adjusted == adjusted[0]).all()
    np.testing.assert_allclose(adjusted, greys, atol=1e-6)
    tinted = np.clip(greys + np.array([[0.004], [0], [-0.004]], np.float32), 0, 1)
    assert np.abs(adjust_hues(tinted, hsl) - tinted).max() < 3 / 255


@given(TURNS)
@settings(max_examples=200, deadline=None)
def test_hues_keep_their_order(hsl: Hsl) -> None:
    degrees = np.linspace(0, 360, 7201)
    turned = degrees + hue_turns(hsl) @ weights(degrees)
    assert np.diff(turned).min() > 0
    assert turned[-1] - turned[0] == pytest.approx(360)


@pytest.mark.parametrize(("hue", "centre"), list(zip(HUES, CENTRES, strict=True)))
def test_a_hue_turns_sixty_percent_of_the_way_to_its_neighbours(hue: str, centre: float) -> None:
    following = [*CENTRES, 360][HUES.index(hue) + 1]
    before = CENTRES[HUES.index(hue) - 1] - (360 if hue == "red" else 0)
    ahead, back = (hue_of(adjust_hues(colour(centre), one(hue, hue=value))) for value in (100, -100))
    assert ahead % 360 == pytest.approx((centre + 0.6 * (following - centre)) % 360, abs=0.1)
    assert back % 360 == pytest.approx((centre + 0.6 * (before - centre)) % 360, abs=0.1)


def test_neighbours_that_come_towards_each_other_share_the_way() -> None:
    both = Hsl(yellow=HueAdjustment(hue=100), green=HueAdjustment(hue=-100))
    np.testing.assert_allclose(hue_turns(both)[2:4], [18, -18])


def test_hue_keeps_largest_and_smallest_channel() -> None:
    adjusted = adjust_hues(planes(), every(hue=70))
    np.testing.assert_allclose(adjusted.max(axis=0), planes().max(axis=0), atol=1e-6)
    np.testing.assert_allclose(adjusted.min(axis=0), planes().min(axis=0), atol=1e-6)


def test_saturation_minus_100_is_grey_of_the_same_light_as_by_the_slider_of_all_colours() -> None:
    adjusted = adjust_hues(planes(), every(saturation=-100))
    assert np.ptp(adjusted, axis=0).max() < 1e-5
    np.testing.assert_allclose(adjusted[0], to_encoded(luminance(to_linear(planes()))), atol=1e-5)
    np.testing.assert_allclose(adjusted.T, grade(planes().T, Adjustments(saturation=-100)), atol=1e-4)


def test_saturation_100_about_doubles_dull_colours_and_clips_none() -> None:
    dull = colour(210, saturation=0.1, value=0.5)
    assert np.ptp(adjust_hues(dull, every(saturation=100))) / np.ptp(dull) == pytest.approx(2, abs=0.1)
    inside = np.random.default_rng(1).uniform(0.2, 0.8, (3, 1000)).astype(np.float32)
    adjusted = adjust_hues(inside, every(saturation=100))
    assert adjusted.min() > 0
    assert adjusted.max() < 1


@pytest.mark.parametrize("hue", HUES)
def test_luminance_brightens_and_darkens_without_turning_the_hue(hue: str) -> None:
    sky = colour(CENTRES[HUES.index(hue)])
    darker, brighter = (adjust_hues(sky, one(hue, luminance=value)) for value in (-100, 100))
    assert float(luminance(darker)[0]) < 0.75 * float(luminance(sky)[0])
    assert float(luminance(brighter)[0]) > 1.08 * float(luminance(sky)[0])
    for adjusted in (darker, brighter):
        turn = hue_of(adjusted) - hue_of(sky)
        assert (turn + 180) % 360 - 180 == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("slider", ["hue", "saturation", "luminance"])
def test_a_range_leaves_hues_past_its_neighbours_alone(slider: str) -> None:
    others = np.concatenate([colour(degrees) for degrees in (0, 30, 60, 120, 270, 300)], axis=1)
    np.testing.assert_allclose(adjust_hues(others, one("blue", **{slider: 80})), others, atol=1e-4)
    moved = adjust_hues(colour(225), one("blue", **{slider: 80}))
    assert np.abs(moved - colour(225)).max() > 0.02
