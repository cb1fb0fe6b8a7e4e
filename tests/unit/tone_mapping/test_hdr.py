from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data

from studio.tone_mapping import hdr
from studio.tone_mapping.colour import Array, to_encoded, to_linear
from studio.tone_mapping.hdr import REC709, mend_green, to_rec709, tone_map
from studio.tone_mapping.scene_files import XYZ
from tests.memory import peak_bytes
from tests.performance.tmqi import tmqi

PHOTOS = ["coffee", "astronaut", "chelsea", "rocket"]


def photo(name: str) -> Array:
    pixels = getattr(skimage.data, name)()[..., ::-1]
    linear: Array = to_linear(pixels.astype(np.float32) / 255).astype(np.float32)
    return linear


def window_scene(name: str, stops: float = 12) -> Array:
    """A photo, half of it lit by so many EV less, with a smooth passage."""
    light = photo(name)
    across = np.linspace(-6, 6, light.shape[1], dtype=np.float32)
    scene: Array = light * np.exp2(stops / (1 + np.exp(-across)))[:, None]
    return scene


def encoded(pixels: Array) -> Array:
    rounded: Array = np.rint(pixels / 257).astype(np.uint8)
    return rounded


def clipped(scene: Array) -> Array:
    luminance = scene @ np.array([0.0722, 0.7152, 0.2126], np.float32)
    key = 0.18 / np.exp(np.log(luminance[luminance > 0]).mean())
    return encoded(np.clip(to_encoded(scene * key), 0, 1) * 65535)


@pytest.mark.parametrize("name", PHOTOS)
def test_quality_of_scenes_of_twelve_stops(name: str) -> None:
    scene = window_scene(name)
    ours = tmqi(scene, encoded(tone_map(scene.copy())))
    assert ours.score > 0.85
    assert ours.score > tmqi(scene, clipped(scene)).score + 0.03


def test_mean_quality() -> None:
    scenes = [window_scene(name) for name in PHOTOS]
    assert np.mean([tmqi(scene, encoded(tone_map(scene.copy()))).score for scene in scenes]) > 0.92


def test_exposure_of_the_scene_does_not_matter() -> None:
    scene = window_scene("coffee")
    darker, brighter = tone_map(scene * np.float32(1e-5)), tone_map(scene * np.float32(1e5))
    assert np.abs(darker.astype(int) - brighter.astype(int)).max() <= 257


def test_a_picture_within_the_displays_range_keeps_its_contrast() -> None:
    light = np.maximum(photo("coffee"), 0.02)
    mapped = to_linear(tone_map(light.copy())[..., 1] / 65535)
    stops_in = np.log2(np.percentile(light[..., 1], 60) / np.percentile(light[..., 1], 20))
    stops_out = np.log2(np.percentile(mapped, 60) / np.percentile(mapped, 20))
    assert stops_out == pytest.approx(stops_in, rel=0.25)


@pytest.mark.parametrize("stops", [2, 6, 12])
def test_an_edge_casts_next_to_no_halo(stops: int) -> None:
    # Detail is raised the most here, for there is none. An unguided base of this radius leaves 30 codes and more.
    scene = np.ones((300, 400, 3), np.float32)
    scene[:, 200:] *= 2.0**stops
    row = tone_map(scene)[150, :, 1] / 257
    assert np.ptp(row[:200]) <= 12
    assert np.ptp(row[200:]) <= 18
    assert row[200] > row[199] + 20


def test_more_light_is_never_darker_along_a_ramp() -> None:
    ramp = np.exp2(np.linspace(-8, 8, 1024, dtype=np.float32))
    row = tone_map(np.dstack([np.tile(ramp, (64, 1))] * 3))[32, :, 1].astype(int)
    assert np.diff(row).min() >= 0
    assert row[0] < 0.25 * 65535
    assert row[-1] > 0.8 * 65535


def test_grey_stays_grey_and_hues_stay() -> None:
    scene = window_scene("coffee")
    grey = tone_map(np.repeat(scene[..., 1:2], 3, axis=2))
    assert np.ptp(grey.astype(int), axis=2).max() <= 1
    mapped = to_linear(tone_map(scene.copy()) / 65535)
    warm = (scene[..., 2] > 1.2 * scene[..., 1]) & (scene[..., 1] > 1.2 * scene[..., 0])
    assert (mapped[warm, 2] >= mapped[warm, 1]).mean() > 0.999
    assert (mapped[warm, 1] >= mapped[warm, 0]).mean() > 0.999


def orange_light(brightness: float) -> Array:
    """Blue, green and red, linear, of an orange light so many times as bright as white, as it is shown."""
    scene = window_scene("coffee", 4)
    light = np.zeros(scene.shape[:2], np.uint8)
    cv2.circle(light, (300, 200), 20, 1, -1)
    scene[light == 1] = np.percentile(scene, 99) * brightness * np.array([0.1, 0.5, 1], np.float32)
    shown: Array = to_linear(tone_map(scene)[light == 1] / 65535).mean(axis=0)
    return shown


def test_coloured_lights_keep_their_colour_and_dazzling_ones_do_not() -> None:
    blue, green, red = orange_light(2)
    assert blue < 0.7 * red
    assert green < 0.87 * red
    assert red > 0.97
    assert orange_light(1e5).min() > 0.9


@pytest.mark.parametrize("colour", [(0, 0, 1), (1, 0, 0), (0.1, 0.5, 1)])
def test_more_coloured_light_is_never_darker(colour: tuple[float, float, float]) -> None:
    ramp = np.exp2(np.linspace(-8, 8, 1024, dtype=np.float32))
    scene = np.tile(ramp[:, None] * np.array(colour, np.float32), (64, 1, 1))
    luminance = to_linear(tone_map(scene)[32] / 65535) @ np.array([0.0722, 0.7152, 0.2126])
    assert np.diff(luminance).min() > -1e-3


def test_what_is_no_light_does_not_spread() -> None:
    clean = window_scene("coffee")
    expected = tone_map(clean.copy()).astype(int)
    dirty = clean.copy()
    dirty[100, 100], dirty[200, 200], dirty[300, 300], dirty[50, 50] = np.nan, -5, np.inf, 3e38
    mapped = tone_map(dirty).astype(int)
    assert (mapped[100, 100] == 0).all()
    assert (mapped[200, 200] == 0).all()
    assert (mapped[300, 300] > 60_000).all()
    assert np.median(np.abs(mapped - expected)) < 700


@pytest.mark.parametrize("wide", [False, True])
def test_many_infinite_pixels_are_bright_and_leave_the_others_as_they_are(wide: bool) -> None:
    scene = cv2.resize(window_scene("coffee", 2), (1800, 1200))
    expected = tone_map(scene.copy())
    specks, sun = np.zeros((1200, 1800), np.uint8), np.zeros((1200, 1800), np.uint8)
    specks.flat[np.random.default_rng(0).integers(0, specks.size, 400)] = 1
    cv2.circle(sun, (900, 200), 40, 1, -1)
    for where in (specks, sun):
        dirty = scene.copy()
        dirty[where == 1] = np.inf
        if wide:  # the matrix shares infinity out between the channels
            to_rec709(dirty, (0.64, 0.33, 0.30, 0.60, 0.15, 0.08, 0.3127, 0.329))
        mapped = tone_map(dirty)
        assert mapped[where == 1].mean() > 62_000
        assert mapped.mean() == pytest.approx(expected.mean(), rel=0.06)
        assert np.median(np.abs(mapped.astype(int) - expected)) < 1500


@pytest.mark.parametrize(("height", "share"), [(400, 1e-3), (1400, 2e-3)])
def test_fireflies_leave_the_others_as_they_are(height: int, share: float) -> None:
    scene = cv2.resize(window_scene("coffee"), (height * 3 // 2, height))
    expected = tone_map(scene.copy()).astype(int)
    rng = np.random.default_rng(0)
    where = rng.random(scene.shape[:2]) < share
    dirty = scene.copy()
    dirty[where] = scene.max() * np.exp2(rng.uniform(2, 20, (np.count_nonzero(where), 1)))
    mapped = tone_map(dirty).astype(int)
    assert mapped[where].min() > 60_000
    assert np.abs(mapped - expected)[~where].mean() < 4 * 257


def test_detail_is_raised_and_noise_is_not() -> None:
    scene = np.full((400, 600, 3), 0.5, np.float32)
    rng = np.random.default_rng(0)
    scene[200:] *= np.exp2(rng.choice([-0.2, 0.2], (25, 75)).repeat(8, axis=0).repeat(8, axis=1))[..., None]
    scene *= np.exp2(0.06 * rng.standard_normal((400, 600, 1), np.float32))
    mapped = np.log2(to_linear(tone_map(scene.copy())[..., 1] / 65535))
    assert mapped[:180].std() < 1.3 * 0.06
    assert mapped[220:].std() > 1.5 * 0.2


def test_lights_in_the_dark_count() -> None:
    # The median is black everywhere: what is left of it are no specks of something.
    scene = np.zeros((300, 400, 3), np.float32)
    scene[10::20, 10::20] = np.linspace(0.5, 1, 20, dtype=np.float32)[:, None]
    mapped = tone_map(scene)
    assert mapped[10::20, 10::20].mean() > 0.4 * 65535
    assert np.median(mapped) == 0


@pytest.mark.parametrize(
    ("make", "mean"),
    [
        (lambda: np.zeros((40, 50, 3), np.float32), 0),
        (lambda: np.full((40, 50, 3), np.nan, np.float32), 0),
        (lambda: np.full((40, 50, 3), -1, np.float32), 0),
        (lambda: np.full((40, 50, 3), 7, np.float32), hdr._MEAN),
        (lambda: np.full((40, 50, 3), 1e-38, np.float32), None),
        (lambda: np.full((40, 50, 3), np.inf, np.float32), hdr._MEAN),
        (lambda: np.full((1, 1, 3), 0.01, np.float32), hdr._MEAN),
        (lambda: np.full((1, 900, 3), 3e4, np.float32), hdr._MEAN),
        (lambda: np.full((900, 2, 3), 3e4, np.float32), hdr._MEAN),
    ],
)
@pytest.mark.filterwarnings("error")
def test_pictures_without_anything_in_them(make: Callable[[], Array], mean: float | None) -> None:
    scene = make()
    mapped = tone_map(scene)
    assert mapped.shape == scene.shape
    assert mapped.dtype == np.uint16
    assert np.ptp(mapped) == 0
    if mean is not None:
        assert mapped.mean() / 65535 == pytest.approx(mean, abs=0.01)


def test_a_range_of_a_hundred_stops() -> None:
    values = np.exp2(np.linspace(-60, 60, 400, dtype=np.float32))
    mapped = tone_map(np.repeat(np.tile(values, (50, 1))[..., None], 3, axis=2))
    assert mapped.min() == 0
    assert mapped.max() > 60_000


def test_what_is_transparent_has_no_say() -> None:
    scene = window_scene("coffee")
    around = np.zeros((800, 1200, 3), np.float32)
    around[:, :] = 5000
    around[200:600, 300:900] = scene
    alpha = np.zeros((800, 1200), np.float32)
    alpha[200:600, 300:900] = 1
    mean = tone_map(around, alpha)[200:600, 300:900].mean()
    assert mean == pytest.approx(tone_map(scene.copy()).mean(), rel=0.1)


def test_the_same_picture_at_half_size_looks_the_same() -> None:
    scene = cv2.resize(window_scene("coffee"), (1800, 1200), interpolation=cv2.INTER_CUBIC).clip(1e-4)
    large = tone_map(scene.copy())
    small = tone_map(cv2.resize(scene, (900, 600), interpolation=cv2.INTER_AREA))
    shrunk = cv2.resize(large, (900, 600), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small.astype(int)).mean() < 2 * 257


def test_the_answer_is_the_same_every_time() -> None:
    assert (tone_map(window_scene("rocket")) == tone_map(window_scene("rocket"))).all()


def test_memory_beside_the_scene() -> None:
    scene = np.random.default_rng(0).random((2000, 3000, 3), dtype=np.float32)
    peak = peak_bytes(lambda: tone_map(scene))
    assert peak < 1.4 * scene.nbytes  # half for the answer; float32 copies would come to three times


def test_other_primaries() -> None:
    rgb = np.array([[[0.2, 0.5, 0.8], [0.4, 0.4, 0.4]]], np.float32)  # blue first
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = (rgb[..., ::-1] @ to_xyz.T)[..., ::-1].astype(np.float32)
    to_rec709(xyz, XYZ)
    assert xyz == pytest.approx(rgb, abs=2e-3)


@pytest.mark.parametrize(
    "primaries",
    [
        (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329),  # Rec. 2020
        (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),  # ACES AP0
    ],
)
def test_neutral_of_wide_primaries_stays_neutral_and_colours_gain(primaries: tuple[float, ...]) -> None:
    light = np.array([[[0.5, 0.5, 0.5], [0.1, 0.1, 0.5]]], np.float32)
    to_rec709(light, primaries)
    assert light[0, 0] == pytest.approx([0.5] * 3, abs=1e-3)
    assert light[0, 1, 2] > 0.55


@pytest.mark.parametrize("primaries", [(0.0,) * 8, (float("nan"),) * 8, (0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)])
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_primaries_changes_nothing(primaries: tuple[float, ...]) -> None:
    light = np.full((2, 2, 3), 0.5, np.float32)
    to_rec709(light, primaries)
    assert (light == 0.5).all()


def test_infinity_stays_bright_in_other_primaries() -> None:
    light = np.full((2, 2, 3), np.inf, np.float32)
    to_rec709(light, (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329))
    assert (light > 1e29).all()


def test_the_green_of_infinite_luminance_is_infinite() -> None:
    """OpenCV leaves infinity less infinity there; of grey, (1 - 0.33 - 0.06) / 0.6 of the luminance."""
    light = np.array([[[np.inf, np.nan, np.inf], [0.6, 0.61, 0.6]]], np.float32)
    mend_green(light, REC709)
    assert np.isinf(light[0, 0]).all()
    np.testing.assert_allclose(light[0, 1], 0.6, rtol=1e-3)
