import time
from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping.adjustments import SPATIAL, Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.grade import grade
from studio.tone_mapping.lut import compile_lut, identity_lut, lut_id, lut_size
from tests.unit.tone_mapping.sliders import PLAIN, every, moved

MODERATE = st.builds(
    Adjustments,
    exposure=st.floats(-2, 1),
    **{name: st.integers(-50, 50) for name in PLAIN if name not in ("exposure", "saturation", "vibrance")},
    saturation=st.integers(-50, 30),
    vibrance=st.integers(-50, 30),
)


@pytest.fixture(scope="module")
def pixels() -> NDArray[Any]:
    """Real colours and random ones, (1, n, 3) RGB."""
    real = [getattr(skimage.data, name)()[::9, ::9, :3].reshape(-1, 3) for name in ("coffee", "astronaut", "chelsea")]
    random = np.random.default_rng(0).random((4000, 3), dtype=np.float32)
    pixels: NDArray[Any] = np.concatenate([*(part.astype(np.float32) / 255 for part in real), random])[None]
    return pixels


def test_zero_sliders_compile_to_the_identity() -> None:
    assert (compile_lut(Adjustments()) == identity_lut(33)).all()


@pytest.mark.parametrize("name", SPATIAL)
def test_spatial_sliders_are_not_in_the_lut(name: str) -> None:
    assert (compile_lut(moved(name, 50)) == identity_lut(33)).all()
    assert lut_size(moved(name, 100), 8) == 33


def test_axes_are_red_green_blue() -> None:
    lut = identity_lut(17)
    assert lut.shape == (17, 17, 17, 3)
    np.testing.assert_allclose(lut[4, 8, 16], [4 / 16, 8 / 16, 1])


@given(MODERATE)
@settings(max_examples=40, deadline=None)
def test_the_lut_is_close_to_the_exact_grade(pixels: NDArray[Any], sliders: Adjustments) -> None:
    exact = grade(pixels, sliders)
    by_lut = apply_lut(pixels[..., ::-1], compile_lut(sliders, lut_size(sliders, 8)))[..., ::-1]
    difference = deltaE_ciede2000(rgb2lab(exact), rgb2lab(by_lut))
    assert difference.mean() <= 0.5
    assert np.percentile(difference, 99.9) <= 1.5


@pytest.mark.parametrize(
    ("sliders", "bit_depth", "size"),
    [
        (Adjustments(exposure=1, contrast=50), 8, 33),
        (Adjustments(exposure=1.1), 8, 65),
        (Adjustments(exposure=0.9, blacks=-20), 8, 65),
        (Adjustments(exposure=-3), 8, 33),
        (Adjustments(tint=-51), 8, 65),
        (Adjustments(), 16, 65),
    ],
)
def test_size_follows_strength_and_depth(sliders: Adjustments, bit_depth: int, size: int) -> None:
    assert lut_size(sliders, bit_depth) == size


def test_the_id_names_the_values() -> None:
    one, same, other = (compile_lut(Adjustments(exposure=value)) for value in (0.5, 0.5, 0.51))
    assert lut_id(one) == lut_id(same)
    assert lut_id(one) != lut_id(other)
    assert len(lut_id(one)) == 16


def test_compiling_every_slider_is_quick() -> None:
    """The live preview's bound is 5 ms; a busy machine is given more here, and `just bench` measures."""
    sliders = every(1)
    compile_lut(sliders)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        compile_lut(sliders)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.015
