import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.tone_mapping.colour import luminance
from studio.tone_mapping.white_balance import (
    bradford,
    planckian_white,
    planckian_xy,
    white_balance_gains,
    white_balance_matrix,
)

KELVIN = st.floats(2000, 50_000)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_gains_keep_the_luminance_of_grey(temperature: float, tint: float) -> None:
    gains = white_balance_gains(temperature, tint)
    assert float(luminance(gains[:, None])[0]) == pytest.approx(1, abs=1e-5)


@given(KELVIN, st.floats(-100, 100))
def test_the_matrix_keeps_the_luminance_of_grey(kelvin: float, tint: float) -> None:
    grey = white_balance_matrix(kelvin, tint) @ np.ones((3, 1), np.float32)
    assert float(luminance(grey)[0]) == pytest.approx(1, abs=1e-5)


def test_bradford_matches_the_published_matrix() -> None:
    """D65 to D50, Lindbloom (2017), Chromatic Adaptation."""
    expected = [
        [1.0478112, 0.0228866, -0.0501270],
        [0.0295424, 0.9904844, -0.0170491],
        [-0.0092345, 0.0150436, 0.7521316],
    ]
    d65, d50 = np.array([0.95047, 1, 1.08883]), np.array([0.96422, 1, 0.82521])
    np.testing.assert_allclose(bradford(d65, d50), expected, atol=2e-5)
    np.testing.assert_allclose(bradford(d65, d50) @ d65, d50)


@pytest.mark.parametrize(
    ("kelvin", "x", "y", "tolerance"),
    [
        (6504.38938305, 0.313426, 0.3235959, 1e-6),  # colour-science's CCT_to_xy_Kang2002
        # Planck's law under the CIE 1931 observer, by colour-science 0.4; the last two are past the cubics' range.
        (2000, 0.52668, 0.41330, 6e-4),
        (2856, 0.44754, 0.40743, 6e-4),
        (5000, 0.34510, 0.35161, 6e-4),
        (25_000, 0.25252, 0.25222, 6e-4),
        (35_000, 0.24841, 0.24644, 6e-4),
        (50_000, 0.24559, 0.24240, 6e-4),
    ],
)
def test_chromaticities_are_those_of_black_bodies(kelvin: float, x: float, y: float, tolerance: float) -> None:
    assert planckian_xy(kelvin) == pytest.approx((x, y), abs=tolerance)


def test_the_locus_goes_one_way_and_has_no_gaps() -> None:
    """Evenly in mireds, each step is bluer than the last and about as long."""
    xy = np.array([planckian_xy(1e6 / mireds) for mireds in np.linspace(500, 20, 961)])
    steps = np.diff(xy, axis=0)
    assert (steps[:, 0] < 0).all()
    length = np.hypot(*steps.T)
    assert length.max() < 1e-3
    assert length.min() > 1e-4


@given(KELVIN, KELVIN)
def test_a_higher_temperature_is_warmer(one: float, other: float) -> None:
    def warmth(kelvin: float) -> float:
        red, _, blue = white_balance_matrix(kelvin, 0).sum(axis=1)
        return float(red - blue)

    assert warmth(max(one, other)) >= warmth(min(one, other)) - 1e-5


def test_the_picture_s_own_temperature_changes_nothing() -> None:
    np.testing.assert_allclose(white_balance_matrix(6504, 0), np.eye(3), atol=1e-6)


def test_the_light_named_becomes_the_picture_s_white() -> None:
    """A grey card under tungsten light, as the camera saw it, comes out as the white of 6504 K."""
    from_rgb = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    card = np.linalg.inv(from_rgb) @ planckian_white(3200)
    balanced = from_rgb @ (white_balance_matrix(3200, 0) @ card)
    np.testing.assert_allclose(balanced / balanced[1], planckian_white(6504), atol=1e-5)
