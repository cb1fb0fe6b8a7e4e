from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from studio.tone_mapping import auto_correct
from studio.tone_mapping.analyse import Analysis, analyse_proxy
from studio.tone_mapping.auto import choose
from studio.tone_mapping.auto_result import AutoResult
from studio.tone_mapping.auto_rules import choose_by_rules
from studio.tone_mapping.colour import luminance, to_encoded, to_linear
from studio.tone_mapping.learned import Fault, Prediction, predict

PHOTOS = ("coffee", "astronaut", "rocket")


def grey(name: str, power: float = 1, stops: float = 0) -> NDArray[np.uint8]:
    """Make a photograph black and white: by luminance, a curve, and then less light."""
    rgb = getattr(skimage.data, name)()[::2, ::2, :3].astype(np.float32) / np.float32(255)
    encoded = to_encoded(luminance(to_linear(rgb.transpose(2, 0, 1)))) ** np.float32(power)
    codes = np.rint(to_encoded(to_linear(encoded) * np.float32(2**stops)) * 255)
    return np.repeat(codes.astype(np.uint8)[..., None], 3, axis=2)


def chosen_for(pixels: NDArray[np.uint8]) -> AutoResult:
    return choose(analyse_proxy(pixels), predict(pixels))


def with_fault(pixels: NDArray[np.uint8], name: str, probability: float, amount: float = 0.0) -> Prediction:
    """Let the model find a fault so likely, and so much of it."""
    prediction = predict(pixels)
    assert prediction is not None
    return prediction._replace(faults=prediction.faults | {name: Fault(probability, amount)})


def with_under(pixels: NDArray[np.uint8], probability: float) -> Prediction:
    return with_fault(pixels, "under", probability)


def reason(result: AutoResult, name: str) -> str:
    (step,) = (step for step in result.steps if step.name == name)
    return step.reason


def with_whites(analysis: Analysis, **percentiles: float) -> Analysis:
    named = {float(name[1:].replace("_", ".")): value for name, value in percentiles.items()}
    return analysis._replace(brightest=analysis.brightest | named)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("power", [0.8, 1, 1.3, 1.6])
def test_good_black_and_white_is_left_dark_by_intent_or_not(name: str, power: float) -> None:
    adjustments = chosen_for(grey(name, power)).adjustments
    assert (adjustments.exposure, adjustments.shadows) == (0, 0)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("stops", [-1, -1.5, -2, -3])
def test_black_and_white_with_too_little_light_is_brightened(name: str, stops: float) -> None:
    good, dark = (grey(name, stops=light).astype(float) for light in (0, stops))
    corrected = auto_correct(grey(name, stops=stops)).astype(float)
    assert np.abs(corrected - good).mean() < 0.35 * np.abs(dark - good).mean()


def test_light_is_added_as_far_as_the_model_finds_too_little_of_it_likely() -> None:
    pixels = grey("coffee", stops=-1)
    analysis = analyse_proxy(pixels)
    results = [choose(analysis, with_under(pixels, probability)) for probability in (0.09, 0.15, 0.25, 0.31, 0.9)]
    exposures = [result.adjustments.exposure for result in results]
    assert exposures[0] == 0 < exposures[1] < exposures[2] < exposures[3] == exposures[4]
    assert exposures[3] == choose_by_rules(analysis).adjustments.exposure
    assert reason(results[0], "white_point").endswith("too little light is 9% likely: left.")
    assert reason(results[4], "white_point").endswith(f"too little light is 90% likely: {exposures[4]:+.2f} EV.")


def test_so_are_shadows_lifted() -> None:
    pixels = grey("rocket")
    analysis = with_whites(analyse_proxy(pixels), p99_9=1.0)
    unlikely, likely = (choose(analysis, with_under(pixels, probability)) for probability in (0.05, 0.5))
    assert unlikely.adjustments.shadows == 0 < likely.adjustments.shadows
    assert reason(unlikely, "dark_middle").endswith("too little light is 5% likely: left.")
    assert f"too little light is 50% likely: shadows {likely.adjustments.shadows:+d}" in reason(likely, "dark_middle")


def test_whites_that_nobody_means_so_dark_need_no_second_opinion() -> None:
    pixels = grey("coffee", stops=-1)
    analysis, unlikely = analyse_proxy(pixels), with_under(pixels, 0.0)
    exposures = []
    for white in (0.56, 0.5, 0.45, 0.4, 0.1):
        result = choose(with_whites(analysis, p99_9=white), unlikely)
        exposures.append(result.adjustments.exposure)
        assert ("likely by the whites" in reason(result, "white_point")) == (white < 0.55)
    assert exposures[0] == 0
    assert exposures == sorted(set(exposures))


def test_few_white_pixels_are_enough_in_black_and_white_alone() -> None:
    pixels = grey("coffee", stops=-1)
    few = with_whites(analyse_proxy(pixels), p99_5=0.7, p99_9=0.95)
    coloured = few._replace(chroma_90=20.0)
    assert reason(choose_by_rules(few), "white_point") == "The brightest 0.1 % are at 95%: bright enough."
    assert "The brightest 0.5 % are at 70%: +" in reason(choose_by_rules(coloured), "white_point")


def test_whites_are_called_for_sooner_in_black_and_white() -> None:
    grey_white = with_whites(analyse_proxy(grey("coffee", stops=-1)), p99_5=0.87, p99_9=0.87)
    assert 0.05 < choose_by_rules(grey_white).adjustments.exposure < 0.2
    assert choose_by_rules(grey_white._replace(chroma_90=20.0)).adjustments.exposure == 0


def test_too_much_light_is_taken_off_as_far_as_the_model_finds_it_likely() -> None:
    pixels = grey("coffee")
    analysis = analyse_proxy(pixels)._replace(blown=0.0)
    results = [
        choose(analysis, with_fault(pixels, "over", probability, amount=-0.3))
        for probability in (0.09, 0.15, 0.25, 0.31, 0.9)
    ]
    exposures = [result.adjustments.exposure for result in results]
    assert exposures[0] == 0 > exposures[1] > exposures[2] > exposures[3] == exposures[4] == -0.3
    assert reason(results[0], "overexposure").endswith("too much light is 9% likely: not too bright.")
    assert reason(results[4], "overexposure").endswith("too much light is 90% likely: -0.30 EV.")


def test_too_much_light_that_the_rules_see_needs_no_second_opinion() -> None:
    pixels = grey("coffee")
    luma = {0.5: 0.1, 5: 0.4, 50: 0.7}
    analysis = analyse_proxy(pixels)
    bright = analysis._replace(luma=analysis.luma | luma, clipped_high=0.2, high_key=0.0)
    seen = choose_by_rules(bright).adjustments
    assert seen.exposure < 0
    for probability, amount in ((0.0, -1.0), (0.9, -0.1)):
        assert choose(bright, with_fault(pixels, "over", probability, amount)).adjustments == seen
    darker = choose(bright._replace(clipped_high=0.04), with_fault(pixels, "over", 0.9, -5.0)).adjustments
    assert darker == seen


@pytest.mark.parametrize("statistics", [{"chroma_90": 20.0, "night": 0.6}, {"chroma_90": 3.0, "night": 0.5}])
def test_in_colour_the_model_has_no_say_in_the_rules(statistics: dict[str, Any]) -> None:
    pixels = grey("coffee", stops=-2)
    analysis = analyse_proxy(pixels)._replace(**statistics)
    for prediction in (with_under(pixels, 0.0), with_fault(pixels, "over", 1.0, -1.0)):
        chosen = choose(analysis, prediction)
        assert chosen == choose_by_rules(analysis)
        assert chosen.adjustments.exposure > 0
