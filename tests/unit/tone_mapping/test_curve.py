from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from studio.tone_mapping.curve import bend_by, through_points

TONES = np.linspace(0, 1, 2001, dtype=np.float32)
FINE_TONES = np.linspace(0, 1, 2001)
Points = tuple[tuple[float, float], ...]


@st.composite
def points(draw: st.DrawFn, rising: bool = False) -> Points:
    codes = sorted(draw(st.sets(st.integers(0, 255), min_size=2, max_size=32)))
    outputs = [draw(st.integers(0, 65535)) / 65535 for _ in codes]
    return tuple((code / 255, y) for code, y in zip(codes, sorted(outputs) if rising else outputs, strict=True))


@given(points())
@settings(max_examples=300, deadline=None)
def test_it_is_scipy_s_pchip_between_the_points_and_flat_beyond(curve: Points) -> None:
    x, y = zip(*curve, strict=True)
    expected: Any = PchipInterpolator(x, y)(np.clip(FINE_TONES, x[0], x[-1]))
    np.testing.assert_allclose(through_points(curve, FINE_TONES), expected, atol=1e-9)


def test_golden_values() -> None:
    """By hand: slopes (3 * 1.4 - 0.6) / 2 = 1.8, 2 / (1 / 1.4 + 1 / 0.6) = 0.84 and (3 * 0.6 - 1.4) / 2 = 0.2."""
    at = through_points(((0, 0), (0.5, 0.7), (1, 1)), np.array([0, 0.25, 0.5, 0.75, 1]))
    # Middles: the mean of both ends and an eighth of the width times what the slope falls by.
    np.testing.assert_allclose(at, [0, 0.35 + 0.0625 * (1.8 - 0.84), 0.7, 0.85 + 0.0625 * (0.84 - 0.2), 1])


@given(points())
@settings(max_examples=200, deadline=None)
def test_the_table_is_the_curve(curve: Points) -> None:
    bent = bend_by(curve, TONES)
    assert bent.dtype == np.float32
    np.testing.assert_allclose(bent, through_points(curve, TONES), atol=1 / 255)  # as far off only where it spikes


@given(points(rising=True))
@settings(max_examples=200, deadline=None)
def test_rising_points_make_a_rising_curve_between_them(curve: Points) -> None:
    bent = bend_by(curve, TONES)
    assert np.diff(bent).min() >= -1e-6
    assert bent.min() >= curve[0][1] - 1e-6
    assert bent.max() <= curve[-1][1] + 1e-6


def test_a_curve_passes_through_its_points() -> None:
    curve = ((0.1, 0.3), (0.2, 0.1), (0.6, 0.9), (0.9, 0.8))
    at = np.array([x for x, _ in curve], np.float32)
    np.testing.assert_allclose(bend_by(curve, at), [y for _, y in curve], atol=1e-3)
    np.testing.assert_allclose(bend_by(curve, np.array([0, 1], np.float32)), [0.3, 0.8])


@pytest.mark.parametrize("curve", [((0, 1), (1, 0)), ((0, 0.5), (0.5, 0.5), (1, 0.5))])
def test_straight_lines_stay_straight(curve: Points) -> None:
    expected = np.interp(TONES, *np.array(curve).T)
    np.testing.assert_allclose(bend_by(curve, TONES), expected, atol=1e-6)
