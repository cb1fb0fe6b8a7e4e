from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from studio.tone_mapping import learned
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import analyse_proxy, make_proxy
from studio.tone_mapping.auto import choose, faded, shared_out
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import MODEL_FILE, OUTPUTS, Prediction, evaluate, features, load_model, predict

SAMPLE = Path(__file__).with_name("learned_sample.npz")  # rows of statistics, and what the trainer itself predicts


def proxy() -> NDArray[Any]:
    return make_proxy(np.ascontiguousarray(skimage.data.astronaut()[..., ::-1]))


def prediction(**outputs: float) -> Prediction:
    return Prediction(**dict.fromkeys(OUTPUTS, 0.0) | outputs)


def test_it_says_what_the_trainer_says() -> None:
    """Leaves are float32: 700 of them sum up to within 1e-3 of a slider's step."""
    model = load_model()
    assert model is not None
    with np.load(SAMPLE) as sample:
        rows, expected = sample["rows"], sample["expected"]
    found = np.array([evaluate(model, row) for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_model_is_whole_and_small() -> None:
    model = load_model()
    assert model is not None
    assert MODEL_FILE.stat().st_size <= 4 * 2**20
    assert model.feature.min() >= 0
    assert model.feature.max() < len(features(proxy()))
    assert set(model.output.tolist()) == set(range(len(OUTPUTS)))
    for branch in (model.left, model.right):
        assert branch.max() < len(model.feature)
        assert (~branch[branch < 0]).max() < len(model.leaf)


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
    np.testing.assert_allclose(list(vars(eight).values()), list(vars(sixteen).values()), atol=0.5)


def test_small_pictures_and_a_missing_model_leave_it_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert predict(np.zeros((8, 200, 3), np.uint8)) is None
    monkeypatch.setattr(learned, "load_model", lambda: None)
    assert predict(proxy()) is None


def test_pictures_without_colour_are_left_to_the_rules() -> None:
    grey = np.repeat(proxy()[..., 1:2], 3, axis=2)
    strong = prediction(temperature=60.0, saturation=50.0)
    assert choose(analyse_proxy(grey), strong) == choose(analyse_proxy(grey))


def test_the_likelier_good_the_less_is_done() -> None:
    likelihoods = np.linspace(0, 1, 21)
    moved = [faded(prediction(gain=1.0, temperature=-40.0, good=good)) for good in likelihoods]
    assert (np.diff([one.gain for one in moved]) <= 0).all()
    assert (np.diff([one.temperature for one in moved]) >= 0).all()
    assert moved[-1].gain == moved[-1].temperature == 0
    assert moved[0].gain == 1


@pytest.mark.parametrize("way", [-1, 1])
def test_the_light_of_a_camera_set_wrong_is_balanced_in_a_picture_that_is_good_otherwise(way: int) -> None:
    light = {"light_temperature": way * 40.0, "light_tint": way * -9.0, "good": 1.0}
    sure, unsure = (faded(prediction(gain=1.0, **light, wrong_light=odds)) for odds in (0.9, 0.1))
    assert (sure.temperature, sure.tint, sure.gain) == (way * 40, way * -9, 0)
    assert unsure.temperature == unsure.tint == 0


def test_no_camera_is_set_to_a_green_or_magenta_light() -> None:
    green = faded(prediction(light_temperature=-40.0, light_tint=30.0, wrong_light=1.0, good=1.0))
    assert green.temperature == green.tint == 0


@pytest.mark.parametrize("blacks", [-5.0, -40.0, -80.0])
@pytest.mark.parametrize("gain", [0.2, 0.7, 1.8])
def test_sharing_the_gain_out_changes_no_pixel_by_much(blacks: float, gain: float) -> None:
    """Exposure alone and exposure with whites are the same straight line; sliders are rounded."""
    axis = np.linspace(0, 1, 64, dtype=np.float32)
    grey = np.stack([axis] * 3, axis=-1)
    both = shared_out(prediction(gain=gain, blacks=blacks))
    alone = both.model_copy(update={"exposure": gain, "whites": 0.0})
    assert both.whites > 0
    assert np.abs(grade(grey, both) - grade(grey, alone)).max() < 0.01


def test_what_would_hardly_be_seen_is_left() -> None:
    tiny = faded(prediction(gain=0.1, temperature=4.0, tint=2.0, saturation=5.0))
    assert shared_out(tiny) == Adjustments()
    assert shared_out(faded(prediction(temperature=40.0))).temperature == pytest.approx(40, abs=8)


@pytest.mark.parametrize("blown", [0.0, 0.1])
@pytest.mark.parametrize("gain", [-0.3, -0.7, -1.2])
def test_darkening_holds_white(gain: float, blown: float) -> None:
    darker = shared_out(prediction(gain=gain), blown)
    white, middle = np.ones((1, 3), np.float32), np.full((1, 3), 0.5, np.float32)
    assert grade(white, darker).min() > (0.94 if blown else 0.80)
    wanted = 0.5 * 2 ** (gain / 2.4)
    assert grade(middle, darker).max() == pytest.approx(wanted, abs=0.05)


def test_much_white_is_hardly_balanced() -> None:
    cool = prediction(temperature=40.0, tint=-20.0)
    assert shared_out(cool, blown=0.01) == shared_out(cool)
    assert 0 < shared_out(cool, blown=0.2).temperature < 10
    assert -5 < shared_out(cool, blown=0.2).tint < 0


def test_the_black_point_does_not_pass_the_darkest() -> None:
    assert shared_out(prediction(blacks=-20.0), darkest=0.035).blacks == -10
    assert shared_out(prediction(blacks=-20.0), darkest=0.0).blacks == 0


def test_contrast_is_only_ever_added_and_not_much() -> None:
    assert shared_out(prediction(contrast=-30.0)).contrast == 0
    assert shared_out(prediction(contrast=25.0)).contrast == 25
    assert shared_out(prediction(contrast=1e3)).contrast <= 60


def test_extremes_stay_in_range() -> None:
    for sign in (-1, 1):
        extreme = dict.fromkeys(OUTPUTS[:-1], sign * 1e4)
        shared_out(Prediction(**extreme, good=0.0))
