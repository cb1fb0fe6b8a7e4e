from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.grade import grade
from studio.tone_mapping.lut import compile_lut, identity_lut

LUT = compile_lut(Adjustments(exposure=0.6, contrast=20, temperature=15, blacks=-10, vibrance=20))
DTYPES = [np.uint8, np.uint16, np.float32]


def pixels_of(dtype: type, shape: tuple[int, int] = (150, 210)) -> NDArray[Any]:
    values = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    return values if dtype is np.float32 else (values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_identity_returns_the_very_pixels(dtype: type) -> None:
    pixels = pixels_of(dtype)
    assert (apply_lut(pixels, identity_lut(33)) == pixels).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bgr_goes_through_the_lut_as_the_exact_grade_does(dtype: type) -> None:
    pixels = pixels_of(dtype)
    scale = 1 if dtype is np.float32 else np.iinfo(dtype).max
    exact = grade((pixels[..., ::-1] / scale).astype(np.float32), Adjustments(temperature=40, exposure=-0.5))[..., ::-1]

    graded = apply_lut(pixels, compile_lut(Adjustments(temperature=40, exposure=-0.5)))

    assert graded.dtype == dtype
    assert graded.shape == pixels.shape
    error = np.abs(graded / scale - exact) * 255
    assert error.max() < 5  # at the kink before full white; a swapped channel is off by dozens
    assert error.mean() < (0.5 if dtype is np.uint8 else 0.05)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_to_the_bit_for_any_number_of_threads_and_run(dtype: type) -> None:
    pixels = pixels_of(dtype, (1100, 131))
    results = [apply_lut(pixels, LUT, threads) for threads in (1, 2, 3, 7, None, None)]
    assert all((result == results[0]).all() for result in results)


@given(st.integers(1, 70), st.integers(1, 140))
@settings(max_examples=30, deadline=None)
def test_any_size_works(height: int, width: int) -> None:
    pixels = pixels_of(np.uint8, (height, width))
    assert apply_lut(pixels, LUT).shape == pixels.shape


def test_it_can_overwrite_its_input_and_takes_views() -> None:
    pixels = pixels_of(np.uint8)
    expected = apply_lut(pixels, LUT)
    assert (apply_lut(pixels[:, ::-1][:, ::-1], LUT) == expected).all()
    assert apply_lut(pixels, LUT, out=pixels) is pixels
    assert (pixels == expected).all()


def test_a_smooth_sky_shows_no_bands() -> None:
    """Over a ramp of a few codes, local means must follow the exact grade: undithered they would stand in steps."""
    ramp = np.linspace(0.60, 0.63, 1024, dtype=np.float32)
    sky = np.repeat(np.rint(ramp * 255).astype(np.uint8)[None, :, None], 128, axis=0).repeat(3, axis=2)
    lut = compile_lut(Adjustments(exposure=-0.37))
    means = apply_lut(sky, lut).mean(axis=(0, 2))
    exact = grade(np.repeat(sky[:1, :, :1] / np.float32(255), 3, 2).astype(np.float32), Adjustments(exposure=-0.37))
    assert np.abs(means - exact[0, :, 0] * 255).max() < 0.1


def test_sixteen_bits_take_no_8_bit_step() -> None:
    ramp = np.linspace(20_000, 22_000, 2001).astype(np.uint16)[None, :, None].repeat(3, axis=2)
    graded = apply_lut(ramp, LUT)
    assert len(np.unique(graded[..., 1])) > 1500
