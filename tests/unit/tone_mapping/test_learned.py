from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from studio.tone_mapping.analyse import analyse_proxy, make_proxy
from studio.tone_mapping.auto import choose
from studio.tone_mapping.auto_model import likely_corrections, to_adjustments
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import (
    FAULTS,
    LIGHTS,
    MODEL_FILE,
    OUTPUTS,
    Fault,
    Prediction,
    RawSliders,
    WrongLight,
    evaluate,
    features,
    load_model,
    predict,
    statistics,
)

CASTS = ("warm", "cool", "green", "magenta")
SAMPLE = Path(__file__).with_name("learned_sample.npz")  # rows of statistics, and what the trainer itself predicts


def proxy() -> NDArray[Any]:
    return make_proxy(np.ascontiguousarray(skimage.data.astronaut()[..., ::-1]))


def prediction(faults: dict[str, Fault], **lights: WrongLight) -> Prediction:
    none = dict.fromkeys(FAULTS, Fault(0.0, 0.0))
    right = dict.fromkeys(LIGHTS, WrongLight(0.0, 0.0, 0.0))
    return Prediction(faults=none | faults, lights=right | lights, good_probability=0.0)


def test_it_says_what_the_trainer_says() -> None:
    """Leaves are float32: 440 to 960 of them sum up to within 1e-3 of a slider's step.

    The light's forests and the others were fitted apart: of each row, the trainer said one or the other.
    """
    model = load_model()
    with np.load(SAMPLE) as sample:
        rows, expected = sample["rows"], sample["expected"]
    found, told = np.array([evaluate(model, row) for row in rows]), ~np.isnan(expected)
    assert told.any(axis=0).all()
    np.testing.assert_allclose(found[told], expected[told], atol=1e-3)


def test_the_model_is_whole_and_small() -> None:
    model = load_model()
    assert MODEL_FILE.stat().st_size <= 4 * 2**20
    assert model.feature.min() >= 0
    assert model.feature.max() < len(statistics(proxy(), model.filters))
    assert set(model.output.tolist()) == set(range(len(OUTPUTS)))
    assert model.size.sum() == len(model.feature) == len(model.left_size)
    assert len(model.leaf) == len(model.feature) + len(model.size)


def test_it_is_deterministic_and_threads_do_not_matter() -> None:
    picture = proxy()
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = features(picture)
        cv2.setNumThreads(4)
        together = features(picture)
    finally:
        cv2.setNumThreads(threads)
    assert (alone == together).all()
    assert predict(picture) == predict(picture)


@pytest.mark.parametrize("value", [0, 20, 128, 255])
def test_flat_pictures_have_finite_statistics(value: int) -> None:
    flat = features(np.full((32, 32, 3), value, np.uint8))
    assert len(flat) == len(features(proxy()))
    assert np.isfinite(flat).all()


def test_8_and_16_bits_are_described_alike() -> None:
    eight, sixteen = predict(proxy()), predict(proxy().astype(np.uint16) * 257)
    assert eight is not None
    assert sixteen is not None
    for fault in FAULTS:
        np.testing.assert_allclose(eight.faults[fault].probability, sixteen.faults[fault].probability, atol=0.1)
        np.testing.assert_allclose(eight.faults[fault].amount, sixteen.faults[fault].amount, atol=0.5)
    assert eight.good_probability == pytest.approx(sixteen.good_probability, abs=0.1)
    for light in LIGHTS:
        assert eight.lights[light].probability == pytest.approx(sixteen.lights[light].probability, abs=0.1)
        np.testing.assert_allclose(eight.lights[light][1:], sixteen.lights[light][1:], atol=0.5)


def test_small_pictures_are_left_to_the_rules() -> None:
    assert predict(np.zeros((8, 200, 3), np.uint8)) is None


def test_pictures_without_colour_are_left_to_the_rules() -> None:
    grey = np.repeat(proxy()[..., 1:2], 3, axis=2)
    strong = prediction({"cool": Fault(1.0, 60.0), "pale": Fault(1.0, 50.0)})
    assert choose(analyse_proxy(grey), strong).adjustments == choose(analyse_proxy(grey)).adjustments


@pytest.mark.parametrize(("fault", "slider"), FAULTS.items())
def test_the_likelier_a_fault_the_more_is_taken_of_what_mends_it(fault: str, slider: str) -> None:
    probabilities = np.linspace(0, 1, 21)
    taken = [likely_corrections(prediction({fault: Fault(probability, -3.0)})) for probability in probabilities]
    amounts = [getattr(one, slider) for one in taken]
    assert (np.diff(amounts) <= 0).all()
    assert (amounts[0], amounts[-1]) == (0, pytest.approx(-3.6 if fault == "pale" else -3))
    assert all(one._replace(**{slider: 0.0}) == RawSliders() for one in taken)


@pytest.mark.parametrize(("fault", "start"), [(fault, 0.3 if fault in CASTS else 0.4) for fault in FAULTS])
def test_what_is_unlikely_is_left(fault: str, start: float) -> None:
    assert likely_corrections(prediction({fault: Fault(start, 1.0)})) == RawSliders()
    assert likely_corrections(prediction({fault: Fault(start + 0.05, 1.0)})) != RawSliders()


def test_the_likelier_a_picture_is_good_the_less_of_its_faults_is_mended() -> None:
    under = prediction({"under": Fault(0.9, 1.0)}, cool_light=WrongLight(0.99, 40.0, -9.0))
    taken = [likely_corrections(under._replace(good_probability=good)) for good in (0.0, 0.5, 0.65, 0.8, 0.9)]
    for slider, amount in {"gain": 1, "temperature": 40, "tint": -9}.items():
        assert [getattr(one, slider) for one in taken] == pytest.approx([amount, amount, amount / 2, 0, 0])


def test_a_warm_light_is_balanced_where_the_picture_is_likely_good_too() -> None:
    lamplight = prediction({}, warm_light=WrongLight(0.99, -40.0, 9.0))
    for good in (0.0, 0.9):
        assert likely_corrections(lamplight._replace(good_probability=good)) == RawSliders(temperature=-40, tint=9)


@pytest.mark.parametrize(("light", "start", "whole"), [("warm_light", 0.55, 0.85), ("cool_light", 0.4, 0.8)])
def test_a_cool_light_is_believed_sooner(light: str, start: float, whole: float) -> None:
    probabilities = (start, (start + whole) / 2, whole)
    taken = [likely_corrections(prediction({}, **{light: WrongLight(p, 60.0, 0.0)})).temperature for p in probabilities]
    assert taken == pytest.approx([0, 30, 60])


@pytest.mark.parametrize(("light", "way"), [("warm_light", -1), ("cool_light", 1)])
def test_the_light_of_a_camera_set_wrong_is_balanced_in_a_picture_that_is_good_otherwise(light: str, way: int) -> None:
    faults = {"over": Fault(0.1, -0.5), "magenta": Fault(0.9, -20.0)}
    sure, unsure = (
        likely_corrections(prediction(faults, **{light: WrongLight(probability, way * 40.0, way * -9.0)}))
        for probability in (0.99, 0.4)
    )
    assert sure == RawSliders(temperature=way * 40, tint=way * -9)
    assert unsure == RawSliders(tint=-20)


@pytest.mark.parametrize("blown", [0.0, 0.1])
@pytest.mark.parametrize("gain", [-0.3, -0.7, -1.2])
def test_darkening_holds_white(gain: float, blown: float) -> None:
    darker = to_adjustments(RawSliders(gain=gain), blown)
    white, middle = np.ones((1, 3), np.float32), np.full((1, 3), 0.5, np.float32)
    assert grade(white, darker).min() > (0.94 if blown else 0.80)
    wanted = 0.5 * 2 ** (gain / 2.4)
    assert grade(middle, darker).max() == pytest.approx(wanted, abs=0.05)


def test_much_white_is_hardly_balanced() -> None:
    cool = RawSliders(temperature=40.0, tint=-20.0)
    assert to_adjustments(cool, blown=0.01) == to_adjustments(cool)
    assert 0 < to_adjustments(cool, blown=0.2).temperature < 10
    assert -5 < to_adjustments(cool, blown=0.2).tint < 0


def test_the_black_point_passes_the_darkest_by_what_the_toe_leaves_at_most() -> None:
    deepest = to_adjustments(RawSliders(blacks=-60.0), darkest=0.14)
    assert deepest.blacks == -46
    assert grade(np.full((1, 3), 0.14, np.float32), deepest).min() > 0.01
    assert to_adjustments(RawSliders(blacks=-20.0), darkest=0.0).blacks == 0


def test_contrast_is_only_ever_added_and_not_much() -> None:
    assert to_adjustments(RawSliders(contrast=-30.0)).contrast == 0
    assert to_adjustments(RawSliders(contrast=25.0)).contrast == 25
    assert to_adjustments(RawSliders(contrast=1e3)).contrast <= 60


def test_extremes_stay_in_range() -> None:
    low, high = (to_adjustments(RawSliders(*[sign * 1e4] * len(RawSliders._fields))) for sign in (-1, 1))
    assert (low.temperature, high.temperature) == (-100, 100)
    assert (low.tint, high.tint) == (-80, 80)
    assert (low.saturation, high.saturation) == (-40, 100)
    assert (low.contrast, high.contrast) == (0, 60)
    assert (low.blacks, high.blacks) == (-100, 0)
    assert high.exposure == 3.5
    # Of -1.2 EV, exposure takes what may darken white; the bend of the tones is at its most for the rest.
    assert (low.exposure, low.highlights, low.shadows) == (-0.33, -100, -60)
    assert to_adjustments(RawSliders(gain=-1e4)) == to_adjustments(RawSliders(gain=-1.2))
    assert to_adjustments(RawSliders(gain=1e4)) == to_adjustments(RawSliders(gain=3.5))
