import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from studio.tone_mapping.learned import load_model
from studio.tone_mapping.light_map import BINS, DESCRIBED, GREEN_STEP, WARM_STEP, describe, histograms, spectra


def picture(warm: float = 0.0, green: float = 0.0) -> NDArray[np.uint16]:
    """A photograph without full or empty pixels, in 16 bits, whose greys lie in the middle of a bin; the cast in EV."""
    warm, green = warm + WARM_STEP / 2, green + GREEN_STEP / 2
    linear = 0.05 + 0.3 * (skimage.data.astronaut()[..., ::-1] / 255) ** 2.2
    cast = linear * np.exp2([-warm / 2, green, warm / 2])
    encoded: NDArray[np.uint16] = np.rint(65535 * (1.055 * cast ** (1 / 2.4) - 0.055)).astype(np.uint16)
    return encoded


@pytest.mark.parametrize(("warm", "green"), [(4, 0), (-8, 2), (0, -3)])
def test_a_cast_moves_the_whole_histogram(warm: int, green: int) -> None:
    plain, cast = histograms(picture())[0], histograms(picture(warm * WARM_STEP, green * GREEN_STEP))[0]
    moved = np.roll(plain, (warm, green), (0, 1))
    assert np.abs(cast.astype(int) - moved).sum() < 0.1 * plain.sum()


@pytest.mark.parametrize("warm", [-8, 0, 8])
def test_the_light_is_found_wherever_it_is(warm: int) -> None:
    filters = np.zeros((2, BINS, BINS), np.float32)
    filters[0] = 40 * np.sqrt(histograms(picture())[0] / histograms(picture())[0].sum())
    told = describe(spectra(histograms(picture(warm * WARM_STEP))[None]), filters)
    assert told.shape == (1, DESCRIBED)
    assert told[0, 0] == pytest.approx(warm * WARM_STEP, abs=WARM_STEP)
    assert told[0, 1] == pytest.approx(0, abs=GREEN_STEP)
    assert told[0, 9:].max() == pytest.approx(1 if warm else 0, abs=0.3)


def test_the_model_tells_warm_from_cool() -> None:
    warmer, cooler = (describe(spectra(histograms(picture(warm))[None]), load_model().filters)[0] for warm in (1, -1))
    assert warmer[0] > cooler[0] + 1


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_have_a_light_of_finite_numbers(value: int) -> None:
    flat = histograms(np.full((32, 32, 3), value, np.uint8))
    assert np.isfinite(describe(spectra(flat[None]), load_model().filters)).all()
