import numpy as np
import pytest
from numpy.typing import NDArray

from studio.tone_mapping.learned import SLIDERS
from studio.tone_mapping.light_map import BINS, GREEN_STEP, WARM_STEP, describe, spectra
from training.light_map import described, fit_filters
from training.samples import Samples

CASTS = [(warm, green) for warm in range(-9, 10, 3) for green in range(-4, 5, 2)]  # in bins
PHOTOGRAPHS = 4


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Photographs of one look, each under every cast."""
    random = np.random.default_rng(1)
    look = np.exp(-np.hypot(*np.meshgrid(*[np.arange(BINS) - BINS // 2] * 2)) / 3)
    rows, targets, photo = [], [], []
    for number in range(PHOTOGRAPHS):
        counts = random.poisson(500 * look * random.uniform(0.5, 1.5, (2, BINS, BINS)))
        for warm, green in CASTS:
            rows.append(np.roll(counts, (warm, green), (1, 2)))
            slider = dict.fromkeys(SLIDERS, 0.0)
            slider |= {"temperature": -warm * WARM_STEP / 0.016, "tint": green * GREEN_STEP / 0.008}
            targets.append([*slider.values()])
            photo.append(number)
    return {
        "colours": np.array(rows, np.uint16),
        "targets": np.array(targets),
        "name": np.full(len(rows), "far"),
        "photo": np.array(photo),
    }


def light_of(samples: Samples) -> NDArray[np.float64]:
    steps = [(warm * WARM_STEP, green * GREEN_STEP) for _ in range(PHOTOGRAPHS) for warm, green in CASTS]
    return np.array(steps)


def test_filters_find_the_light(samples: Samples) -> None:
    filters = fit_filters(samples, np.ones(len(samples["name"]), bool))
    found = describe(spectra(samples["colours"]), filters)
    np.testing.assert_allclose(found[:, 4:6], light_of(samples), atol=WARM_STEP)


def test_a_photograph_is_described_by_what_others_taught(samples: Samples) -> None:
    told = described(samples)
    np.testing.assert_allclose(told[:, 4:6], light_of(samples), atol=WARM_STEP)
    own = fit_filters(samples, samples["photo"] % 2 == 0)
    assert not np.allclose(told[0], describe(spectra(samples["colours"][:1]), own)[0], atol=1e-4)


def test_what_is_no_measure_of_the_light_is_left_out(samples: Samples) -> None:
    every = np.ones(len(samples["name"]), bool)
    film = samples | {"name": np.where(samples["photo"] == 0, "old_film", samples["name"])}
    assert (fit_filters(film, every) == fit_filters(film, samples["photo"] != 0)).all()
