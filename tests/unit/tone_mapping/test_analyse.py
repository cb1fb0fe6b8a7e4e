import json
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from studio.tone_mapping import auto_correct
from studio.tone_mapping.analyse import PROXY_SIDE, analyse_proxy, judged, make_proxy, without_frame, without_specks
from tests.speed import assert_quick


def coffee() -> NDArray[Any]:
    return np.ascontiguousarray(skimage.data.coffee()[..., ::-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(10, 20), (512, 300), (600, 900), (1, 3000), (3000, 4000)])
def test_the_proxy_is_small_and_of_the_same_kind(dtype: type, shape: tuple[int, int]) -> None:
    proxy = make_proxy(np.full((*shape, 3), 77, dtype))
    assert max(proxy.shape[:2]) == min(PROXY_SIDE, max(shape))
    assert proxy.dtype == dtype
    assert (proxy == 77).all()


def test_statistics_hardly_depend_on_the_pictures_size() -> None:
    small = analyse_proxy(make_proxy(coffee()))
    large = analyse_proxy(make_proxy(cv2.resize(coffee(), (4000, 2667), interpolation=cv2.INTER_CUBIC)))
    assert large.luma_mean == pytest.approx(small.luma_mean, abs=0.003)
    assert large.luma[50] == pytest.approx(small.luma[50], abs=0.01)
    assert large.brightest[99.5] == pytest.approx(small.brightest[99.5], abs=0.02)
    assert large.chroma_mean == pytest.approx(small.chroma_mean, rel=0.02)
    assert large.cast.warm == pytest.approx(small.cast.warm, abs=0.1)


@pytest.mark.parametrize("unit", [1, 257])
def test_hot_and_dead_pixels_are_mended_alone(unit: int) -> None:
    pixels = (make_proxy(coffee()).clip(60, 180).astype(np.uint16) * unit).astype(np.uint8 if unit == 1 else np.uint16)
    before = pixels.copy()
    spoiled = pixels.copy()
    places = [(0, 0), (0, 50), (100, 0), (90, 200), (pixels.shape[0] - 1, pixels.shape[1] - 1)]
    for number, (row, column) in enumerate(places):
        spoiled[row, column, number % 3] = 255 * unit
        spoiled[row, column, (number + 1) % 3] = 0
    kept = spoiled.copy()
    mended = without_specks(spoiled)
    np.testing.assert_array_equal(spoiled, kept)
    assert mended.dtype == pixels.dtype
    # What is left of them is within what lies around; nothing else has changed by more than a lone bright pixel does.
    assert (mended.min(), mended.max()) == (60 * unit, 180 * unit)
    others = np.ones(pixels.shape[:2], bool)
    others[tuple(np.transpose(places))] = False
    np.testing.assert_array_equal(mended[others], without_specks(before)[others])
    assert np.mean(mended != before) < 0.003


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 1)])
def test_pictures_of_few_pixels_are_no_specks(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 200, np.uint8)
    np.testing.assert_array_equal(judged(pixels), pixels)


def test_specks_hide_no_frame() -> None:
    pixels = framed(make_proxy(coffee()), (40, 0), (0, 0, 0))
    pixels[10, 30] = 255
    assert len(without_frame(pixels)) == len(pixels)
    assert len(judged(pixels)) <= len(pixels) - 80


def test_specks_have_no_say_in_the_correction() -> None:
    dark = (skimage.data.coffee() * 0.5).astype(np.uint8)
    spoiled = dark.copy()
    rows, columns = np.random.default_rng(0).integers(0, dark.shape[:2], (8, 2)).T
    spoiled[rows, columns] = 255
    moved = np.abs(auto_correct(spoiled).astype(int) - auto_correct(dark)).max(axis=2)
    moved[rows, columns] = 0
    assert moved.max() <= 3


def test_sixteen_bits_are_analysed_as_8_are() -> None:
    eight, sixteen = analyse_proxy(coffee()), analyse_proxy(coffee().astype(np.uint16) * 257)
    assert sixteen.luma_mean == pytest.approx(eight.luma_mean, abs=1e-5)
    assert sixteen.cast.warm == pytest.approx(eight.cast.warm, abs=1e-4)


def test_known_numbers() -> None:
    grey = analyse_proxy(np.full((50, 50, 3), 128, np.uint8))
    assert grey.luma_mean == pytest.approx(128 / 255, abs=1e-5)
    assert grey.luma[0.1] == pytest.approx(grey.luma[99.9])
    assert grey.chroma_mean == pytest.approx(0, abs=0.05)
    assert grey.cast.warm == pytest.approx(0, abs=1e-3)
    assert grey.histogram[32] == 1
    assert sum(grey.histogram) == pytest.approx(1)


def framed(pixels: NDArray[Any], bars: tuple[int, int], colour: Any) -> NDArray[Any]:
    (rows, columns), kind = bars, cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(pixels, rows, rows, columns, columns, kind, value=colour)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("bars", "code"), [((40, 0), 0), ((40, 0), 255), ((0, 40), 96), ((0, 40), 255), ((40, 25), 0), ((40, 25), 250)]
)
def test_a_frame_is_left_out(dtype: type, bars: tuple[int, int], code: int) -> None:
    unit = np.iinfo(dtype).max // 255
    pixels = make_proxy(coffee()).astype(dtype) * dtype(unit)
    found = without_frame(framed(pixels, bars, (code * unit,) * 3))
    height, width = (side - 2 * (bar > 0) for side, bar in zip(pixels.shape, bars, strict=False))  # its mixed edge
    assert found.shape == (height, width, 3)
    left, top = (int(bar > 0) for bar in bars[::-1])
    np.testing.assert_array_equal(found, pixels[top : top + height, left : left + width])


def test_a_frame_is_found_behind_the_noise_of_a_jpeg() -> None:
    _, encoded = cv2.imencode(".jpg", framed(coffee(), (60, 90), (0, 0, 0)))
    decoded: NDArray[Any] = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    height, width, _ = without_frame(make_proxy(decoded)).shape
    assert height == pytest.approx(400 * PROXY_SIDE / 780, abs=4)
    assert width == pytest.approx(600 * PROXY_SIDE / 780, abs=4)


def sky_above() -> NDArray[Any]:
    pixels = make_proxy(coffee())
    pixels[:60] = 255
    return pixels


def thing_on_white() -> NDArray[Any]:
    return cv2.circle(np.full((200, 300, 3), 255, np.uint8), (150, 100), 60, (30, 40, 180), cv2.FILLED)


def window() -> NDArray[Any]:
    """Make a small picture in much black."""
    return framed(make_proxy(coffee())[::8, ::8], (90, 130), 0)


def box_on_white() -> NDArray[Any]:
    return framed(np.full((150, 200, 3), 170, np.uint8), (40, 60), (255, 255, 255))


def page() -> NDArray[Any]:
    """Make a page of dense lines, with margins."""
    pixels = np.full((384, 297, 3), 255, np.uint8)
    pixels[40:340:6, 30:270] = pixels[41:340:6, 30:270] = 120
    return pixels


def noise() -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.mark.parametrize("make", [coffee, sky_above, thing_on_white, box_on_white, window, page, noise])
def test_what_is_no_frame_is_left(make: Any) -> None:
    pixels = make()
    np.testing.assert_array_equal(without_frame(pixels), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 5), (40, 30)], ids=str)
def test_one_colour_is_no_frame(size: tuple[int, int]) -> None:
    assert without_frame(np.full((*size, 3), 7, np.uint8)).shape == (*size, 3)


@pytest.mark.parametrize(("sides", "is_so"), [(2, False), (3, True), (4, True)])
def test_white_ground_is_white_on_three_sides(sides: int, is_so: bool) -> None:
    pixels = make_proxy(coffee()).clip(0, 200)
    for side in (np.s_[:10], np.s_[:, :10], np.s_[:, -10:], np.s_[-10:])[:sides]:
        pixels[side] = 255
    assert analyse_proxy(pixels).on_white is is_so


def test_clipping_is_counted() -> None:
    pixels = np.full((20, 20, 3), 100, np.uint8)
    pixels[0:2] = 255
    pixels[2:4] = (0, 0, 255)  # full in one channel
    pixels[4:6] = 0
    analysis = analyse_proxy(pixels)
    assert analysis.clipped_high == pytest.approx(0.2)
    assert analysis.blown == pytest.approx(0.1)
    assert analysis.clipped_low == pytest.approx(0.1)


@pytest.mark.parametrize(("warm", "green"), [(0.6, 0.0), (-0.6, 0.0), (0.0, 0.3), (0.3, -0.2)])
def test_every_estimator_sees_a_cast_on_grey_things(warm: float, green: float) -> None:
    grey = np.random.default_rng(0).uniform(0.05, 0.35, (200, 200, 1)).astype(np.float32)
    light = np.exp2(np.array([-warm / 2, green, warm / 2], np.float32))
    encoded = 1.055 * (grey * light) ** (1 / 2.4) - 0.055
    analysis = analyse_proxy(np.rint(encoded * 65535).astype(np.uint16))
    assert set(analysis.casts) == {"shades_of_grey", "white_patch", "pca", "grey_edge"}
    for name, cast in analysis.casts.items():
        assert cast.warm == pytest.approx(warm, abs=0.05), name
        assert cast.green == pytest.approx(green, abs=0.05), name
    assert analysis.cast_spread < 0.05


@pytest.mark.parametrize("value", [0, 255])
def test_pictures_without_tones_have_no_cast_and_no_nan(value: int) -> None:
    analysis = analyse_proxy(np.full((20, 20, 3), value, np.uint8))
    assert analysis.casts == {}
    assert np.isfinite([analysis.luma_mean, analysis.chroma_mean, *analysis.histogram]).all()


def test_night_low_key_and_high_key() -> None:
    noise = np.random.default_rng(0)
    night = noise.integers(0, 20, (200, 200, 3), dtype=np.uint8)
    night[:2] = 255
    snow = noise.integers(170, 256, (200, 200, 3), dtype=np.uint8)
    snow[:5] = 10
    middle = noise.integers(60, 200, (200, 200, 3), dtype=np.uint8)
    assert analyse_proxy(night).night > 0.9
    assert analyse_proxy(snow).high_key > 0.9
    plain = analyse_proxy(middle)
    assert (plain.night, plain.low_key, plain.high_key) == (0, 0, 0)


def test_statistics_are_json_with_64_bins() -> None:
    statistics = analyse_proxy(coffee()).statistics()
    assert len(json.loads(json.dumps(statistics))["histogram"]) == 64
    assert len(json.dumps(statistics)) < 2000


def test_analysis_is_quick_whatever_the_size() -> None:
    large = np.random.default_rng(0).integers(0, 256, (6000, 8000, 3), dtype=np.uint8)
    assert_quick(lambda: analyse_proxy(make_proxy(large)), 0.15)
