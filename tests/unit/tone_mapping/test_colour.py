import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from studio.tone_mapping.colour import to_lab, to_linear


def test_lab_is_the_standard_one() -> None:
    """Scikit-image's has a matrix and a white of more digits."""
    axis = np.linspace(0, 1, 17, dtype=np.float32)
    planes = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    np.testing.assert_allclose(to_lab(to_linear(planes)), rgb2lab(planes, channel_axis=0), atol=0.06)


@given(st.floats(0, 1, width=32))
def test_greys_have_no_colour_and_rise(grey: float) -> None:
    lightness, a, b = to_lab(np.full((3, 1), grey, np.float32))
    assert abs(a).max() < 1e-4
    assert abs(b).max() < 1e-4
    assert to_lab(np.full((3, 1), grey + 0.01, np.float32))[0, 0] > lightness[0]


def test_black_and_white_are_0_and_100() -> None:
    ends = to_lab(np.array([[0, 1]] * 3, np.float32))
    np.testing.assert_allclose(ends, [[0, 100], [0, 0], [0, 0]], atol=1e-4)
