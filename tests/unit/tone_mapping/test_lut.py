from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.color import deltaE_ciede94, deltaE_ciede2000, rgb2lab

from studio.tone_mapping.adjustments import SPATIAL, Adjustments, ToneCurve
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.colour import to_encoded
from studio.tone_mapping.grade import grade
from studio.tone_mapping.lut import compile_lut, identity_lut, lut_id, lut_size
from studio.tone_mapping.lut_error import _sample, largest_error
from studio.tone_mapping.read_adjustments import read_adjustments
from tests.unit.tone_mapping.sliders import GLOBAL, PLAIN, every, moved

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


def off(pixels: NDArray[Any], sliders: Adjustments, size: int) -> NDArray[Any]:
    """CIEDE2000 between the exact grade and that of a LUT."""
    by_lut = apply_lut(pixels[..., ::-1], compile_lut(sliders, size))[..., ::-1]
    difference: NDArray[Any] = deltaE_ciede2000(rgb2lab(grade(pixels, sliders)), rgb2lab(by_lut))
    return difference


@given(MODERATE)
@example(  # of 3,000 random ones, what 65 nodes were furthest off
    Adjustments(
        exposure=0.89,
        contrast=-46,
        highlights=-6,
        shadows=45,
        whites=41,
        blacks=4,
        vibrance=-45,
        saturation=-2,
        temperature=-12,
        tint=-13,
    )
)
@example(Adjustments(exposure=1, shadows=50, whites=50))  # 97 nodes are off by 1.5013
@settings(max_examples=60, deadline=None)
def test_the_lut_is_close_to_the_exact_grade(pixels: NDArray[Any], sliders: Adjustments) -> None:
    difference = off(pixels, sliders, lut_size(sliders, 8))
    assert difference.mean() <= 0.5
    assert np.percentile(difference, 99.9) <= 1.5


@pytest.mark.parametrize("slider", GLOBAL)
@pytest.mark.parametrize("percent", [-50, 50])
def test_every_slider_alone_is_close_to_the_exact_grade(pixels: NDArray[Any], slider: str, percent: float) -> None:
    sliders = moved(slider, percent)
    assert np.percentile(off(pixels, sliders, lut_size(sliders, 8)), 99.9) <= 1.5


# What a climbing search over all sliders up to ±50 found furthest off, and still with 33 nodes.
@pytest.mark.parametrize(
    "sliders",
    [
        Adjustments(
            exposure=0.33,
            saturation=30,
            vibrance=30,
            contrast=-50,
            highlights=50,
            shadows=6,
            whites=50,
            blacks=50,
            temperature=-50,
            tint=-50,
        ),
        Adjustments(
            saturation=30,
            vibrance=30,
            contrast=-2,
            highlights=50,
            shadows=50,
            whites=50,
            blacks=50,
            temperature=-31,
            tint=-50,
        ),
    ],
)
def test_33_nodes_are_enough_where_they_are_taken(pixels: NDArray[Any], sliders: Adjustments) -> None:
    assert lut_size(sliders, 8) == 33
    assert np.percentile(off(pixels, sliders, 33), 99.9) <= 1.5


# Random ones of all sliders up to ±50; by 33 nodes these pictures would be off by 1.54 and 1.55.
@pytest.mark.parametrize(
    ("name", "sliders"),
    [
        (
            "rocket",
            {
                "blacks": 50,
                "temperature": -7,
                "tone_curve": {
                    "rgb": [[0, 0], [0.5, 0.52], [1, 1]],
                    "red": [[0, 0], [0.5, 0.66], [1, 1]],
                    "green": [[0, 0], [0.5, 0.676], [1, 1]],
                },
                "hsl": {
                    "yellow": {"hue": -28},
                    "green": {"saturation": -50},
                    "aqua": {"hue": 47, "saturation": 28},
                    "purple": {"hue": -50},
                },
            },
        ),
        (
            "chelsea",
            {
                "contrast": 21,
                "shadows": -21,
                "blacks": 50,
                "vibrance": 24,
                "temperature_kelvin": 5442,
                "tint": -38,
                "tone_curve": {"blue": [[0, 0], [0.5, 0.664], [1, 1]]},
                "hsl": {
                    "red": {"hue": 50},
                    "orange": {"saturation": 41, "luminance": 19},
                    "yellow": {"luminance": -3},
                    "green": {"saturation": -50},
                    "purple": {"hue": 35},
                    "magenta": {"saturation": 50},
                },
            },
        ),
    ],
)
def test_grades_that_33_nodes_show_in_take_more(name: str, sliders: dict[str, Any]) -> None:
    adjustments = read_adjustments(sliders)
    photo = getattr(skimage.data, name)()[::3, ::3, :3].reshape(1, -1, 3).astype(np.float32) / np.float32(255)
    assert np.percentile(off(photo, adjustments, lut_size(adjustments, 8)), 99.9) <= 1.5


@pytest.mark.parametrize("size", [33, 65])
@pytest.mark.parametrize("part", [range(1000), range(7000, 10_000)])
def test_the_error_is_measured_as_the_lut_makes_it(part: range, size: int) -> None:
    """Against OpenColorIO's tetrahedra and CIE94 of scikit-image, on the same colours."""
    sliders = Adjustments(exposure=0.8, tint=-60, saturation=40, tone_curve=ToneCurve(red=((0, 0), (0.3, 0.5), (1, 1))))
    colours = to_encoded(_sample(size, part)[2]).T[None]
    by_lut = apply_lut(np.ascontiguousarray(colours[..., ::-1]), compile_lut(sliders, size))[..., ::-1]
    expected = deltaE_ciede94(rgb2lab(grade(colours, sliders)), rgb2lab(by_lut)).max()
    assert largest_error([sliders], size, part) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("sliders", "bit_depth", "size"),
    [
        (Adjustments(exposure=1, contrast=50), 8, 33),
        (Adjustments(exposure=2), 8, 65),
        (Adjustments(exposure=3), 8, 97),
        (Adjustments(exposure=4), 8, 129),
        (Adjustments(exposure=1, shadows=50, blacks=-50), 8, 65),
        (Adjustments(exposure=-3), 8, 33),
        (Adjustments(tint=-30), 8, 33),
        (Adjustments(tint=-100), 8, 33),
        (moved("tone_curve.rgb", 30), 8, 33),
        (Adjustments(tone_curve=ToneCurve(rgb=((0, 0), (0.5, 0.2), (0.52, 0.8), (1, 1)))), 8, 129),
        (moved("hsl.blue.saturation", -30), 8, 33),
        (every(50), 8, 129),
        (Adjustments(), 8, 33),
        (Adjustments(), 16, 65),
        (every(50), 16, 129),
    ],
)
def test_size_follows_strength_and_depth(sliders: Adjustments, bit_depth: int, size: int) -> None:
    assert lut_size(sliders, bit_depth) == size


def test_the_id_names_the_values() -> None:
    one, same, other = (compile_lut(Adjustments(exposure=value)) for value in (0.5, 0.5, 0.51))
    assert lut_id(one) == lut_id(same)
    assert lut_id(one) != lut_id(other)
    assert len(lut_id(one)) == 16
