from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from studio.tone_mapping.learned import SLIDERS
from training.samples import OF_LIGHT, Samples, kinds, make_samples


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photos") / "coffee.png"
    cv2.imwrite(str(file), np.ascontiguousarray(skimage.data.coffee()[::4, ::4, ::-1]))
    return file


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


@pytest.fixture(scope="module")
def samples(photo: Path, kept: Path) -> Samples:
    return make_samples([photo], kept)


def test_what_a_photograph_is_made_into() -> None:
    styles = Counter(
        "light" if name in OF_LIGHT else name if name == "unretouched" else "varied" if varied else "plain"
        for name, _, varied in kinds()
    )
    assert styles == {"plain": 36, "varied": 42, "unretouched": 7, "light": 48}


def test_what_is_meant_asks_for_nothing_and_what_is_spoiled_for_its_opposite(samples: Samples) -> None:
    gain, temperature = (samples["targets"][:, SLIDERS.index(slider)] for slider in ("gain", "temperature"))
    names = samples["name"]
    assert not samples["targets"][np.isin(names, ("good", "old_film"))].any()
    assert gain[names == "under"].min() > 0.3
    assert gain[names == "over"].max() < -0.2
    assert np.abs(temperature[names == "warm_cool"]).min() > 5


def test_samples_that_are_kept_are_taken_and_others_made_the_same(photo: Path, kept: Path, samples: Samples) -> None:
    file = kept / "coffee.npz"
    made_at = file.stat().st_mtime_ns
    make_samples([photo], kept)
    assert file.stat().st_mtime_ns == made_at
    file.unlink()
    again = make_samples([photo], kept)
    assert all((again[key] == samples[key]).all() for key in samples)
