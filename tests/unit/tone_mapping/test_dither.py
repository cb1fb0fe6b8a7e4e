import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.dither import TILE, dither_pattern, dither_to_8_bits


def dithered(fine: NDArray[np.uint16]) -> NDArray[np.uint8]:
    out = np.empty(fine.shape, np.uint8)
    dither_to_8_bits(fine.copy(), out, dither_pattern(fine.shape[1])[: len(fine)])
    return out


def test_whole_codes_stay_flat() -> None:
    for code in (0, 1, 127, 254, 255):
        assert (dithered(np.full((TILE, 100, 3), code * 256, np.uint16)) == code).all()


def test_rounding_next_to_a_whole_code_does_not_show() -> None:
    for off in (-3, 3):
        assert (dithered(np.full((TILE, 100, 3), 100 * 256 + off, np.uint16)) == 100).all()


def test_what_is_above_white_is_white() -> None:
    assert (dithered(np.full((TILE, 100, 3), 65535, np.uint16)) == 255).all()


def test_the_mean_follows_below_one_code() -> None:
    for fine in range(30_000, 30_600, 37):
        mean = dithered(np.full((TILE, 128, 3), fine, np.uint16)).mean()
        assert abs(mean - fine / 256) < 0.03


def test_neutrals_stay_neutral() -> None:
    out = dithered(np.full((TILE, 128, 3), 100 * 256 + 128, np.uint16))
    assert np.ptp(out, axis=2).max() == 0
    assert 0.3 < (out == 100).mean() < 0.7


def test_the_pattern_fits_any_width() -> None:
    for width in (1, TILE - 1, TILE, TILE + 1, 1000):
        assert dither_pattern(width).shape == (TILE, width, 3)
