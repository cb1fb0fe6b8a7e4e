from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from studio.tone_mapping.detail import apply_detail
from studio.tone_mapping.guided import Enlarged
from tests.memory import peak_bytes

Pixels = NDArray[Any]

SLIDERS = ["clarity", "texture", "dehaze"]


def photo(name: str = "coffee") -> Pixels:
    return np.ascontiguousarray(getattr(skimage.data, name)()[..., ::-1])


def grey(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[..., 1:2], 3, axis=2)


def codes(pixels: Pixels) -> Pixels:
    wide: Pixels = pixels.astype(np.float64) / (257 if pixels.dtype == np.uint16 else 1)
    return wide


def contrast(pixels: Pixels, fine: float, coarse: float) -> float:
    """Deviation of the band between two blurs, in codes of mid-tones."""
    tone = codes(pixels)[..., 1]
    band = cv2.GaussianBlur(tone, (0, 0), fine) - cv2.GaussianBlur(tone, (0, 0), coarse)
    return float(band[(tone > 60) & (tone < 190)].std())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_zero_is_the_identity(dtype: type) -> None:
    pixels: Pixels = photo().astype(dtype)
    answer = apply_detail(pixels, 0, 0, 0)
    assert answer.dtype == np.uint16
    assert (answer == pixels.astype(np.uint16) * (257 if dtype == np.uint8 else 1)).all()


@pytest.mark.parametrize("slider", SLIDERS)
@pytest.mark.parametrize("amount", [-0.1, 0.1])
def test_tiny_sliders_do_a_little(slider: str, amount: float) -> None:
    """No slider jumps away from zero or lingers there."""
    pixels: Pixels = photo().astype(np.uint16) * np.uint16(257)
    clarity, texture, dehaze = (amount if name == slider else 0 for name in SLIDERS)
    moved = apply_detail(pixels, clarity, texture, dehaze)
    assert 0 < np.abs(codes(moved) - codes(pixels)).max() < 0.5


@pytest.mark.parametrize("slider", SLIDERS)
def test_8_and_16_bits_agree(slider: str) -> None:
    narrow = apply_detail(photo(), **{slider: 60})
    wide = apply_detail(photo().astype(np.uint16) * np.uint16(257), **{slider: 60})
    assert np.abs(narrow.astype(int) - wide).max() <= 300


@pytest.mark.parametrize("slider", ["clarity", "texture"])
@pytest.mark.parametrize("name", ["coffee", "astronaut", "chelsea"])
def test_contrast_rises_with_the_slider(slider: str, name: str) -> None:
    band = (4, 12) if slider == "clarity" else (0.5, 2)
    contrasts = [contrast(apply_detail(photo(name), **{slider: amount}), *band) for amount in range(-100, 101, 25)]
    assert (np.diff(contrasts) > 0).all()
    assert contrasts[-1] > 1.05 * contrasts[4]
    assert contrasts[0] < 0.98 * contrasts[4]


def test_texture_leaves_large_things_and_clarity_does_not() -> None:
    wave = np.sin(np.arange(2048) * 2 * np.pi / 80)  # as wide as a face's shadow
    pixels: Pixels = np.repeat(np.tile((128 + 20 * wave).astype(np.uint8), (1024, 1))[..., None], 3, axis=2)
    before = np.ptp(pixels[512, 500:1500, 1].astype(int))
    texture, clarity = (codes(apply_detail(pixels, **{slider: 100})) for slider in ("texture", "clarity"))
    assert np.ptp(texture[512, 500:1500, 1]) < 1.15 * before
    assert np.ptp(clarity[512, 500:1500, 1]) > 1.3 * before


def hazy(depth: Pixels) -> Pixels:
    air = np.array([215, 210, 205])
    seen: Pixels = np.rint(photo() * depth + air * (1 - depth)).astype(np.uint8)
    return seen


def test_dehaze_brings_back_what_haze_took() -> None:
    depth = np.linspace(0.4, 0.9, 400)[:, None, None]
    pixels, clear = hazy(depth), photo().astype(int)
    errors = [np.abs(codes(apply_detail(pixels, dehaze=amount)) - clear).mean() for amount in (-50, 0, 50, 100)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[3] < 0.6 * errors[1]


def test_dehaze_darkens_the_far_more_than_the_near_and_below_zero_it_adds_haze() -> None:
    depth = np.linspace(0.4, 0.9, 400)[:, None, None]
    pixels = hazy(depth)
    change = codes(pixels) - codes(apply_detail(pixels, dehaze=60))
    assert change[:100].mean() > 1.5 * change[300:].mean()
    more = codes(apply_detail(pixels, dehaze=-60))
    assert more.std() < 0.8 * codes(pixels).std()
    assert more.mean() > codes(pixels).mean()


@pytest.mark.parametrize("amount", [-100, 50, 100])
@pytest.mark.parametrize("width", [10, 120])
def test_a_sky_does_not_glow_about_dark_things(width: int, amount: int) -> None:
    pixels = np.full((400, 600, 3), (170, 150, 130), np.uint8)
    pixels[100:, 300 - width // 2 : 300 + width // 2] = 20
    pixels[:20, :20] = 250  # a cloud
    sky = codes(apply_detail(pixels, dehaze=amount))[250, :, 1]
    assert np.abs(sky[100 : 300 - width // 2 - 1] - sky[20]).max() < 2
    assert abs(sky[20] - 150) > 2


def test_a_pale_backdrop_does_not_turn_vivid() -> None:
    pixels = np.full((400, 600, 3), (228, 245, 215), np.uint8)  # mint
    pixels[:, :200] = 250  # and where it is lit
    pixels[150:, 250:450] = (30, 40, 60)
    before, after = (np.ptp(image[50, 500].astype(int)) for image in (pixels, codes(apply_detail(pixels, dehaze=100))))
    assert before <= after < 2 * before


def test_a_white_thing_is_no_haze() -> None:
    pixels = np.full((400, 600, 3), (140, 130, 120), np.uint8)
    pixels[100:, 290:310] = 235
    tower = apply_detail(pixels, dehaze=100)[300, 300]
    assert codes(tower).min() > 230


@pytest.mark.parametrize("low", [40, 90])
@pytest.mark.parametrize("high", [120, 200])
@pytest.mark.parametrize("slider", ["clarity", "texture"])
def test_an_edge_has_no_halo(low: int, high: int, slider: str) -> None:
    pixels = np.full((400, 600, 3), low, np.uint8)
    pixels[:, 300:] = high
    row = codes(apply_detail(pixels, **{slider: 50}))[200, :, 1]
    assert low - 6 <= row[:300].min()
    assert row[300:].max() <= high + 6
    assert np.abs(row[[20, -20]] - [low, high]).max() < 1  # nothing far away


@pytest.mark.parametrize("slider", SLIDERS)
@pytest.mark.parametrize("amount", [-70, 70])
def test_every_size_gives_the_same_picture(slider: str, amount: int) -> None:
    large = cv2.resize(photo(), (3000, 2000), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(large, (1500, 1000), interpolation=cv2.INTER_AREA)
    shrunk = cv2.resize(apply_detail(large, **{slider: amount}), (1500, 1000), interpolation=cv2.INTER_AREA)
    answer = apply_detail(small, **{slider: amount})
    change = np.abs(codes(answer) - codes(small)).mean()
    assert np.abs(codes(answer) - codes(shrunk)).mean() < max(0.5, 0.25 * change)


@pytest.mark.parametrize("slider", ["clarity", "dehaze"])  # texture is too fine for one
@pytest.mark.parametrize("amount", [-70, 70])
def test_a_thumbnail_looks_like_its_picture(slider: str, amount: int) -> None:
    small, shrunk = (
        cv2.resize(pixels, (200, 133), interpolation=cv2.INTER_AREA)
        for pixels in (photo(), apply_detail(photo(), **{slider: amount}))
    )
    answer = apply_detail(small, **{slider: amount})
    change = np.abs(codes(answer) - codes(small)).mean()
    assert np.abs(codes(answer) - codes(shrunk)).mean() < 0.3 * change


@pytest.mark.parametrize(("clarity", "texture"), [(100, 0), (-100, 0), (0, 100), (0, -100), (100, 100)])
def test_neutral_stays_neutral_and_black_and_white_stay(clarity: float, texture: float) -> None:
    pixels = grey(photo())
    pixels[:40, :40], pixels[:40, 40:80] = 0, 255
    answer = apply_detail(pixels, clarity, texture)
    assert np.ptp(answer.astype(int), axis=2).max() == 0
    assert (answer[:40, :40] == 0).all()
    assert (answer[:40, 40:80] == 65535).all()


@pytest.mark.parametrize(("clarity", "texture"), [(100, 0), (0, 100), (-100, -100)])
def test_hues_stay(clarity: float, texture: float) -> None:
    pixels = photo("astronaut")
    before, after = codes(pixels), codes(apply_detail(pixels, clarity, texture))
    ratio = after / np.maximum(before, 1)
    seen = before.min(axis=2) > 40
    assert np.ptp(ratio[seen], axis=1).max() < 0.02


@pytest.mark.parametrize(("width", "height"), [(90, 60), (217, 131), (30, 20), (1, 500)])
def test_small_planes_are_looked_up_where_they_lie(width: int, height: int) -> None:
    """As OpenCV enlarges them, and the same whichever strip asks."""
    small = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    enlarged = Enlarged(small, height, width)
    whole = enlarged.rows(0, height)
    np.testing.assert_allclose(whole, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), atol=1e-5)
    assert (enlarged.rows(height // 3, height) == whole[height // 3 :]).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same(threads: int) -> None:
    one = apply_detail(photo(), 40, -30, 20, threads=threads)
    assert (one == apply_detail(photo(), 40, -30, 20)).all()


@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3))),
    *[st.floats(-100, 100)] * 3,
)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("error")
def test_any_picture_of_any_size_goes_through(pixels: Pixels, clarity: float, texture: float, dehaze: float) -> None:
    answer = apply_detail(pixels, clarity, texture, dehaze)
    assert answer.shape == pixels.shape
    assert answer.dtype == np.uint16


@pytest.mark.parametrize("slider", SLIDERS)
@pytest.mark.parametrize("tone", [0, 128, 255])
@pytest.mark.parametrize("amount", [-100, 100])
def test_a_flat_picture_stays_flat(slider: str, tone: int, amount: int) -> None:
    answer = apply_detail(np.full((70, 90, 3), tone, np.uint8), **{slider: amount})
    assert np.ptp(answer) <= 2
    if slider != "dehaze":
        assert np.abs(answer.astype(int) - tone * 257).max() <= 2


def test_memory_beside_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    peak = peak_bytes(lambda: apply_detail(pixels, 50, 50, 50, threads=2))
    assert peak < 7 * pixels.nbytes  # 2 for the answer; float32 planes of the whole would be 4 each
