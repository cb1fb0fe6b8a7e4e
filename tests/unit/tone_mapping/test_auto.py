import re
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping import auto_correct
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import analyse_proxy
from studio.tone_mapping.auto import choose, skipping
from studio.tone_mapping.auto_model import add_finish
from studio.tone_mapping.auto_result import AutoResult, Step
from studio.tone_mapping.colour import to_encoded, to_linear
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import FAULTS, Fault, predict
from studio.tone_mapping.white_balance import white_balance_gains

PHOTOS = ("coffee", "astronaut", "chelsea", "rocket")
GOOD = ("coffee", "astronaut")
FULL_RANGE = ("coffee", "astronaut", "rocket")


def photo(name: str) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.ascontiguousarray(getattr(skimage.data, name)()[::2, ::2, :3])
    return pixels


def degraded(name: str, gain: float = 1, low: float = 0, high: float = 1, temperature: float = 0) -> NDArray[np.uint8]:
    """Degrade in linear light."""
    linear = low + to_linear(photo(name).astype(np.float32) / 255) * (high - low)
    linear = linear * gain * white_balance_gains(temperature, 0)
    coded: NDArray[np.uint8] = np.rint(to_encoded(np.clip(linear, 0, 1)) * 255).astype(np.uint8)
    return coded


def chosen_for(rgb: NDArray[Any]) -> AutoResult:
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return choose(analyse_proxy(bgr), predict(bgr))


def error(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(deltaE_ciede2000(rgb2lab(one), rgb2lab(other)).mean())


@pytest.mark.parametrize("name", GOOD)
def test_good_photos_are_hardly_touched(name: str) -> None:
    assert error(photo(name), auto_correct(photo(name))) < 1.5


def test_a_low_key_picture_without_whites_is_brightened_a_little_at_most() -> None:
    assert chosen_for(photo("chelsea")).adjustments.exposure <= 0.5


@pytest.mark.parametrize("name", PHOTOS)
def test_what_was_white_stays_white(name: str) -> None:
    before = degraded(name, gain=2.5)
    white = before.min(-1) == 255
    after = auto_correct(before)
    assert white.any()
    assert np.median(after[white].min(-1)) >= 240


@pytest.mark.parametrize("name", FULL_RANGE)
@pytest.mark.parametrize("stops", [-0.8, -1.4, -2])
def test_underexposure_is_repaired(name: str, stops: float) -> None:
    before = degraded(name, gain=2**stops)
    after = auto_correct(before)
    assert error(photo(name), after) < 0.75 * error(photo(name), before)
    assert chosen_for(before).adjustments.exposure > 0.3


@pytest.mark.parametrize("name", FULL_RANGE)
def test_a_veil_is_taken_off(name: str) -> None:
    before = degraded(name, low=0.06, high=0.5)
    after = auto_correct(before)
    assert error(photo(name), after) < 0.8 * error(photo(name), before)
    assert chosen_for(before).adjustments.blacks < -10


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
@pytest.mark.parametrize("temperature", [-60, 60])
def test_a_strong_cast_is_moved_the_right_way(name: str, temperature: float) -> None:
    assert chosen_for(degraded(name, temperature=temperature)).adjustments.temperature * temperature <= 0


@pytest.mark.parametrize(("name", "temperature"), [("astronaut", -60), ("astronaut", 60), ("chelsea", 60)])
def test_of_a_strong_cast_most_is_taken_back(name: str, temperature: float) -> None:
    before = degraded(name, temperature=temperature)
    assert error(photo(name), auto_correct(before)) < 0.4 * error(photo(name), before)


def test_under_blue_light_the_balance_helps_a_dark_picture() -> None:
    """Its tones do not: it is brightened, see training/README.md, "What it lacks"."""
    before = degraded("chelsea", temperature=-60)
    balance = skipping(chosen_for(before), ["tone"]).adjustments
    after = grade(before.astype(np.float32) / np.float32(255), balance)
    assert error(photo("chelsea"), np.rint(after * 255).astype(np.uint8)) < error(photo("chelsea"), before) - 1


CASES: list[dict[str, float]] = [{}, {"gain": 0.35}, {"low": 0.05, "high": 0.6}]


def moved_again(name: str, case: dict[str, float]) -> float:
    once = auto_correct(degraded(name, **case))
    return error(once, auto_correct(once))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("case", CASES)
def test_applied_to_its_own_output_it_moves_no_picture_much(name: str, case: dict[str, float]) -> None:
    assert moved_again(name, case) < 5


def test_applied_to_its_own_output_it_moves_little() -> None:
    assert np.mean([moved_again(name, case) for name in PHOTOS for case in CASES]) < 1.5


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("case", [{}, {"gain": 0.35}, {"low": 0.05, "high": 0.6}, {"gain": 2}])
def test_it_does_not_clip(name: str, case: dict[str, float]) -> None:
    before = degraded(name, **case)
    after = auto_correct(before)
    assert (after.min(-1) == 255).mean() <= (before.min(-1) == 255).mean() + 0.001
    assert (after.max(-1) == 0).mean() <= (before.max(-1) == 0).mean() + 0.001


def dull(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture as a camera set to neutral leaves it: flat, pale, without whites."""
    pale = 0.5 * rgb.mean(-1, keepdims=True) + 0.5 * rgb
    taken: NDArray[np.uint8] = np.rint(110 + 0.4 * (pale - pale.mean())).clip(0, 255).astype(np.uint8)
    return taken


def finish_of(result: AutoResult) -> Step:
    (step,) = (step for step in result.steps if step.name == "finish")
    return step


@pytest.mark.parametrize("name", ["chelsea", "rocket"])
def test_a_dull_flat_picture_is_finished(name: str) -> None:
    before = dull(photo(name))
    result = chosen_for(before)
    assert finish_of(result).applied
    assert result.adjustments.contrast > 0
    after = auto_correct(before)
    assert np.percentile(after, 99.5) > np.percentile(before, 99.5) + 20
    assert after.std() > 2 * before.std()


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photograph_with_contrast_or_colour_of_its_own_is_not_finished(name: str) -> None:
    assert not finish_of(chosen_for(photo(name))).applied


@pytest.mark.parametrize(
    "lacked",
    [
        {"chroma_mean": 16.0},
        {"low_key": 1.0},
        {"luma": {**dict.fromkeys((0.5, 25, 50, 75, 99.5, 99.9), 0.95), 0.1: 0.8}},
        {"histogram": (0.5, *[0.0] * 62, 0.5)},
    ],
)
def test_one_thing_that_is_as_good_pictures_have_it_keeps_the_finish_off(lacked: dict[str, Any]) -> None:
    bgr = np.ascontiguousarray(dull(photo("chelsea"))[..., ::-1])
    analysis, predicted = analyse_proxy(bgr), predict(bgr)
    assert predicted is not None
    prediction = predicted._replace(faults=dict.fromkeys(FAULTS, Fault(0.0, 0.0)))
    assert finish_of(choose(analysis, prediction)).applied
    assert not finish_of(choose(analysis._replace(**lacked), prediction)).applied
    assert not finish_of(choose(analysis, prediction._replace(good_probability=0.35))).applied


def disc(colour: tuple[int, int, int], radius: int) -> NDArray[np.uint8]:
    """Make what a shop shows: one thing on white ground, here cut off by the lower side."""
    rows, columns = np.mgrid[:200, :300]
    pixels = np.full((200, 300, 3), 255, np.uint8)
    pixels[(rows - 200) ** 2 + (columns - 150) ** 2 < radius**2] = colour
    return pixels


@pytest.mark.parametrize(("colour", "radius"), [((180, 40, 30), 40), ((180, 40, 30), 120), ((90, 90, 90), 90)], ids=str)
def test_white_ground_stays_white(colour: tuple[int, int, int], radius: int) -> None:
    after = auto_correct(disc(colour, radius))
    assert (after[0] == 255).all()
    assert after[-1, 150].min() > min(colour) / 2, "no black is made of what is not dark"


def test_the_tones_of_a_box_on_white_ground_are_left() -> None:
    box = np.pad(np.full((120, 180, 3), (170, 160, 150), np.uint8), ((40, 40), (60, 60), (0, 0)), constant_values=255)
    chosen = asdict(chosen_for(box).adjustments)
    assert {chosen[slider] for slider in ("exposure", "contrast", "highlights", "shadows", "whites", "blacks")} == {0}


def test_what_is_bright_without_white_ground_is_darkened_still() -> None:
    pixels = disc((180, 180, 180), 120)
    pixels[:, :9] = pixels[:, -9:] = 150
    assert chosen_for(pixels).adjustments.highlights < 0


def test_the_model_darkens_nothing_on_white_ground() -> None:
    bgr = np.ascontiguousarray(degraded("coffee", gain=2.5)[..., ::-1])
    analysis, prediction = analyse_proxy(bgr), predict(bgr)
    assert choose(analysis, prediction).adjustments.highlights < 0
    result = choose(analysis._replace(on_white=True), prediction)
    assert (result.adjustments.exposure, result.adjustments.highlights) == (0, 0)
    reasons = {step.name: step.reason for step in result.steps}
    assert all("white is the ground: left." in reasons[name] for name in ("overexposure", "black_point"))


def test_a_frame_has_no_say_in_what_the_plain_function_does() -> None:
    dark = degraded("coffee", gain=0.3)
    framed = np.pad(dark, ((40, 40), (40, 40), (0, 0)), constant_values=0)
    np.testing.assert_allclose(auto_correct(framed)[40:-40, 40:-40], auto_correct(dark), atol=6)


def test_black_and_white_that_is_too_bright_keeps_its_whites() -> None:
    grey = np.repeat(degraded("coffee", gain=1.5, low=0.03).max(-1, keepdims=True), 3, axis=2)
    result = chosen_for(grey)
    assert result.adjustments.highlights < -50
    after = auto_correct(grey)
    assert after[grey == 255].min() >= 235
    assert np.median(after) < np.median(grey) - 10


@pytest.mark.parametrize("level", [0, 128, 250, 255])
def test_a_picture_with_nothing_in_it_is_left(level: int) -> None:
    pixels = np.full((60, 80, 3), level, np.uint8)
    pixels[::7, ::5] = max(level - 3, 0)
    result = chosen_for(pixels)
    assert result.adjustments == Adjustments()
    assert "nothing to judge by" in result.steps[0].reason


def test_a_finish_grows_with_its_share_and_passes_no_darkest_tone() -> None:
    analysis = analyse_proxy(dull(photo("chelsea")))
    shares = [add_finish(Adjustments(), analysis, share) for share in (0.0, 0.5, 1.0)]
    assert shares[0] == Adjustments()
    for slider, sign in (("exposure", 1), ("contrast", 1), ("shadows", 1), ("blacks", -1)):
        none, half, whole = (sign * getattr(adjustments, slider) for adjustments in shares)
        assert none < half < whole
    assert -shares[2].blacks * 0.0035 <= analysis.luma[0.5] + 0.5 * 0.0035
    most = Adjustments(contrast=60, shadows=90, blacks=-100)  # what it comes after at most
    assert add_finish(most, analysis, 1.0).shadows == 100


def test_night_is_not_turned_into_day() -> None:
    night = np.random.default_rng(0).integers(0, 25, (200, 200, 3), dtype=np.uint8)
    night[:3] = 255
    assert auto_correct(night).mean() < 1.6 * night.mean()


@pytest.mark.parametrize("value", [0, 20, 128, 255])
def test_flat_pictures_are_survived(value: int) -> None:
    flat = np.full((32, 32, 3), value, np.uint8)
    assert auto_correct(flat).shape == flat.shape


def test_every_step_says_why_with_numbers_and_confidence_is_a_share() -> None:
    result = chosen_for(degraded("astronaut", gain=0.3))
    assert len({step.name for step in result.steps}) == len(result.steps) == 8
    assert all(any(character.isdigit() for character in step.reason) for step in result.steps)
    assert 0 <= result.confidence <= 1
    assert any(step.applied for step in result.steps)


def test_nothing_applied_means_no_sliders() -> None:
    result = chosen_for(photo("astronaut"))
    if not any(step.applied for step in result.steps):
        assert result.adjustments == Adjustments()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_plain_function_keeps_type_shape_and_input(dtype: type) -> None:
    dark = degraded("coffee", gain=0.3)
    image = (
        (dark / 255).astype(np.float32)
        if dtype is np.float32
        else dark.astype(dtype) * (257 if dtype is np.uint16 else 1)
    )
    kept = image.copy()
    graded = auto_correct(image)
    assert graded.dtype == dtype
    assert graded.shape == image.shape
    assert (image == kept).all()
    assert graded.mean() > 1.3 * image.mean()


def test_pixels_in_reversed_order_are_left_as_they_are() -> None:
    """As OpenCV's are, turned to RGB by a view."""
    bgr = (photo("coffee")[..., ::-1] * 0.4).astype(np.uint8)
    kept = bgr.copy()
    assert auto_correct(bgr[..., ::-1]).mean() > 1.3 * bgr.mean()
    assert (bgr == kept).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_pixels_of_the_other_byte_order_are_corrected_alike(dtype: type) -> None:
    """As files of big-endian samples come from their readers."""
    dark = degraded("coffee", gain=0.3)
    native = dark.astype(np.uint16) * np.uint16(257) if dtype is np.uint16 else (dark / 255).astype(np.float32)
    swapped = native.astype(native.dtype.newbyteorder())
    graded = auto_correct(swapped)
    assert graded.dtype == swapped.dtype
    assert (graded == auto_correct(native)).all()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((20, 30, 3), np.float64),
        ((20, 30, 3), np.int32),
        ((20, 30, 3), np.bool_),
        ((20, 30, 4), np.uint8),
        ((20, 3), np.uint8),
        ((20, 0, 3), np.uint8),
    ],
)
def test_what_are_no_pixels_is_refused_by_name(shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(ValueError, match=re.escape(f"got {shape} of {np.dtype(dtype)}")):
        auto_correct(np.zeros(shape, dtype))


def test_the_package_itself_loads_no_imaging_library() -> None:
    """Functions without the imaging layer import its models and errors."""
    code = (
        "import sys, studio.tone_mapping.adjustments, studio.tone_mapping.errors;"
        "sys.exit(bool({'cv2', 'numpy', 'PyOpenColorIO', 'PIL'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_pure_loads_no_service() -> None:
    """Grades, presets' files and films are made without a database, AWS or a web framework."""
    code = (
        "import sys, studio.tone_mapping.pipeline, studio.tone_mapping.preset_file, studio.minimatics.film;"
        "services = {'bson', 'pymongo', 'boto3', 'botocore', 'aws_lambda_powertools', 'starlette'};"
        "sys.exit(', '.join(services & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("group", "sliders"),
    [
        ("tone", {"exposure", "contrast", "highlights", "shadows", "whites", "blacks"}),
        ("white_balance", {"temperature", "tint"}),
        ("colour", {"vibrance", "saturation"}),
    ],
)
def test_a_skipped_group_stays_and_the_others_move(group: Any, sliders: set[str]) -> None:
    result = AutoResult(
        Adjustments(exposure=1, blacks=-5, temperature=9, tint=3, saturation=7, vibrance=2),
        0.5,
        tuple(Step(name, True, "Because.") for name in ("contrast", "white_balance", "saturation", "already_good")),
    )
    left = skipping(result, [group])
    for name, value in asdict(left.adjustments).items():
        assert value == (0 if name in sliders else asdict(result.adjustments)[name])
    assert [step.applied for step in left.steps].count(False) == 1
    assert skipping(result, []) == result
