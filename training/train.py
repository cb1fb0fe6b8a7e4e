"""Fit the model that chooses auto's sliders: ``train.py PHOTOS_DIR [--samples DIR] [--validate]``.

Every photograph is spoiled at random; the sliders that bring it nearest to itself again, by our own grade, are what is
learnt. The same photographs give the same file.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import lightgbm
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping.auto_model import likely_corrections, to_adjustments
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import FAULTS, LIGHTS, MODEL_FILE, OUTPUTS, SLIDERS, Model, as_prediction
from studio.tone_mapping.light_map import DESCRIBED
from training.light_map import described, fit_filters
from training.photographs import listed
from training.samples import CAMERAS, OF_LIGHT, Samples, as_adjustments, make_samples

SAMPLE_FILE = Path(__file__).parents[1] / "tests/unit/tone_mapping/learned_sample.npz"
FOREST_SEEDS = (1, 2)
# A picture has a fault where more than this is needed of the slider that mends it.
LEAST = {
    "over": -0.25,
    "under": 0.25,
    "veiled": -6,
    "warm": -10,
    "cool": 10,
    "green": 7,
    "magenta": -7,
    "pale": 15,
    "flat": 12,
}
MEANT_WEIGHT = 2.0  # of what is good as it is, against a spoiled sample: for the probability of each fault
GOOD_WEIGHT = 6.0  # the same for the probability of being good
LIGHT_GOOD_WEIGHT, LIGHT_WEIGHT = 3.0, 2.0  # for the light: a good one, and one of `OF_LIGHT`
STRONG_CAST = 30  # of temperature, either way: for the probability of being good
PLAIN, MAP = slice(-DESCRIBED), slice(-DESCRIBED, None)  # statistics: without and by the light map
BALANCE = ("temperature", "tint")
LIGHT_LEAST = 24  # of temperature, for a wrong light
LOCUS = -0.3  # tint per temperature on the locus of black bodies, which cameras' presets keep to
NEAR = (12, 0.3)  # how far off the locus it may be: tint, or a share of temperature
FILM_MOST = 8  # of temperature: more of it in the manner of film tells nothing of the light
BINS = 63


class Growth(NamedTuple):
    """How a forest grows: LightGBM's objective, trees, leaves a tree, learning rate."""

    objective: str
    trees: int
    leaves: int
    rate: float


PROBABILITY = Growth("binary", 220, 40, 0.05)
MAP_PROBABILITY = Growth("binary", 120, 16, 0.05)
# Least absolute error is safe, least squares takes more off what is far gone: the mean of both.
AMOUNT = (Growth("regression_l1", 120, 16, 0.08), Growth("regression", 120, 16, 0.08))


class Lesson(NamedTuple):
    """What a forest learns.

    Attributes
    ----------
    output : str
        One of `OUTPUTS`, and the share of it that is this forest's.
    share : float
    growth : Growth
    answer, weight : ndarray
        Of every sample.
    chosen : ndarray of bool
        The samples that it is of.
    columns : slice
        The statistics that it is learnt by, of all.
    """

    output: str
    share: float
    growth: Growth
    answer: NDArray[Any]
    weight: NDArray[np.float64]
    chosen: NDArray[np.bool_]
    columns: slice


class Forest(NamedTuple):
    """Trees that add a share to an output, whose number it is, by some of the statistics."""

    output: int
    share: float
    columns: range
    booster: lightgbm.Booster


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument(
        "--samples", type=Path, metavar="DIR", help="keep samples here, and take what is there as it is"
    )
    parser.add_argument(
        "--validate", action="store_true", help="fit on four of five photographs, judge on the fifth, write nothing"
    )
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        files = [arguments.photos / name for name in listed(held_out=False)]
        samples = make_samples(files, arguments.samples or Path(scratch))
    samples["features"] = np.concatenate([samples["features"], described(samples)], axis=1)
    if arguments.validate:
        validation = samples["photo"] % 5 == 0
        report(samples, validation, fit(samples, ~validation, FOREST_SEEDS[:1]))
        return
    every = np.ones(len(samples["name"]), bool)
    forests = fit(samples, every, FOREST_SEEDS)
    model = flatten(forests, fit_filters(samples, every))
    form = [(name, array.dtype, array.shape) for name, array in model._asdict().items()]
    np.save(MODEL_FILE, np.array(tuple(model), np.dtype(form, align=True)))
    rows = samples["features"][:: len(samples["features"]) // 8]
    np.savez_compressed(SAMPLE_FILE, rows=rows, expected=predicted(forests, rows))
    print(f"{MODEL_FILE.name}: {MODEL_FILE.stat().st_size:,} bytes, {len(model.size):,} trees")


def fit(samples: Samples, chosen: NDArray[np.bool_], seeds: tuple[int, ...]) -> list[Forest]:
    """Fit every output to some of the samples: the mean of forests of every lesson and seed.

    Parameters
    ----------
    samples : dict of str to ndarray
        Of `make_samples`.
    chosen : ndarray of bool
        (n,), which of them.
    seeds : tuple of int

    Returns
    -------
    list of Forest
    """

    def grown(task: tuple[Lesson, int]) -> Forest:
        lesson, seed = task
        rows = lesson.chosen & chosen
        columns = range(samples["features"].shape[1])[lesson.columns]
        statistics = samples["features"][rows, lesson.columns]
        booster = grow(statistics, lesson.answer[rows], lesson.weight[rows], lesson.growth, seed)
        return Forest(OUTPUTS.index(lesson.output), lesson.share / len(seeds), columns, booster)

    lessons = [*lessons_of_faults(samples), *lessons_of_light(samples)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(grown, [(lesson, seed) for lesson in lessons for seed in seeds]))


def lessons_of_faults(samples: Samples) -> Iterator[Lesson]:
    """Yield the probability of each fault, by all samples, and what mends it, by those with it; last, that of none.

    A two-part ("hurdle") model (Cragg 1971). A scan of old film has no fault, whatever its colours; casts of a camera
    that was set to another light are learnt apart.
    """
    names, targets = samples["name"], samples["targets"]
    chosen, meant = ~np.isin(names, [*CAMERAS]), np.isin(names, ("good", "old_film"))
    for fault, slider in FAULTS.items():
        amount = targets[:, SLIDERS.index(slider)]
        has_it = amount / LEAST[fault] > 1
        yield Lesson(fault, 1.0, PROBABILITY, has_it, np.where(meant, MEANT_WEIGHT, 1.0), chosen, PLAIN)
        for growth in AMOUNT:
            yield Lesson(f"{fault}_amount", 0.5, growth, amount, np.ones(len(names)), chosen & has_it, PLAIN)
    good = names == "good"
    strong = np.where(np.abs(targets[:, SLIDERS.index("temperature")]) > STRONG_CAST, 1.5, 1)  # rare, and seen at once
    weight = strong * np.where(good, GOOD_WEIGHT, 1.0)
    yield Lesson("good", 1.0, PROBABILITY, good, weight, ~np.isin(names, OF_LIGHT), PLAIN)


def lessons_of_light(samples: Samples) -> Iterator[Lesson]:
    """Yield the probability of a light that makes warm, and of one that makes cool, and what takes each back.

    Apart from the sliders: the casts that are learnt here are such as good photographs have, too, and would make every
    slider unsure. A camera's are those far off and about the locus; a cast of the same size that no camera made is
    neither one nor the lack of one. Nor is film a sign of a wrong light, whatever its colours. What the light map
    alone tells is averaged with what all statistics do: they know more of pictures like the lessons, and are misled by
    others.
    """
    names, targets = samples["name"], samples["targets"]
    temperature, tint = (targets[:, SLIDERS.index(slider)] for slider in BALANCE)
    size, of_camera = np.abs(temperature), np.isin(names, [*CAMERAS])
    far = (size > LIGHT_LEAST) & (np.abs(tint - LOCUS * temperature) < np.maximum(NEAR[0], NEAR[1] * size))
    weight = np.where(names == "good", LIGHT_GOOD_WEIGHT, 1) * np.where(np.isin(names, OF_LIGHT), LIGHT_WEIGHT, 1)
    chosen = (far == of_camera) & ~((samples["style"] == "film") & (size > FILM_MOST))
    for light, way in zip(LIGHTS, (-1, 1), strict=True):
        wrong = far & of_camera & (way * temperature > 0)
        for growth, columns in ((MAP_PROBABILITY, MAP), (PROBABILITY, slice(None))):
            yield Lesson(light, 0.5, growth, wrong, weight, chosen, columns)
        for slider, answer in zip(BALANCE, (temperature, tint), strict=True):
            for growth, columns in product(AMOUNT, (MAP, slice(None))):
                yield Lesson(f"{light}_{slider}", 0.25, growth, answer, weight, wrong, columns)


def grow(
    rows: NDArray[Any], answer: NDArray[Any], weight: NDArray[np.float64], growth: Growth, seed: int
) -> lightgbm.Booster:
    """Grow one forest, on one thread: the same data give the same trees.

    Parameters
    ----------
    rows : ndarray of float32
        (n, features).
    answer, weight : ndarray
        (n,).
    growth : Growth
    seed : int

    Returns
    -------
    lightgbm.Booster
    """
    parameters = {
        "objective": growth.objective,
        "num_leaves": growth.leaves,
        "learning_rate": growth.rate,
        "feature_fraction": 0.2,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "min_data_in_leaf": 20,
        "lambda_l2": 1.0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "max_bin": BINS,
        "verbosity": -1,
        "seed": seed,
    }
    data = lightgbm.Dataset(rows, answer.astype(float), weight=weight, params={"max_bin": BINS, "num_threads": 1})
    return lightgbm.train(parameters, data, growth.trees)


def flatten(forests: list[Forest], filters: NDArray[np.float32]) -> Model:
    """Lay all trees out in flat arrays; thresholds rounded down to float32, which splits float32 values the same.

    Parameters
    ----------
    forests : list of Forest
    filters : ndarray of float32
        Of the light.

    Returns
    -------
    Model
    """
    output_of: list[int] = []
    sizes: list[int] = []
    nodes: list[tuple[int, float, int]] = []
    leaves: list[float] = []

    def lay(tree: dict[str, Any], share: float, first: int) -> int:
        """Lay a branch out, and tell how many nodes it has."""
        if "leaf_value" in tree:
            leaves.append(tree["leaf_value"] * share)
            return 0
        place = len(nodes)
        nodes.append((0, 0.0, 0))
        left_size, right_size = (lay(tree[child], share, first) for child in ("left_child", "right_child"))
        exact = tree["threshold"]
        threshold = np.float32(exact)
        if threshold > exact:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        nodes[place] = (tree["split_feature"] + first, float(threshold), left_size)
        return 1 + left_size + right_size

    for output, share, columns, booster in forests:
        for tree in booster.dump_model()["tree_info"]:
            sizes.append(lay(tree["tree_structure"], share, columns.start))
            output_of.append(output)
    feature, threshold, left_size = zip(*nodes, strict=True)
    return Model(
        output=np.array(output_of, np.int16),
        size=np.array(sizes, np.uint8),
        feature=np.array(feature, np.int16),
        threshold=np.array(threshold, np.float32),
        left_size=np.array(left_size, np.uint8),
        leaf=np.array(leaves, np.float32),
        filters=filters,
    )


def predicted(forests: list[Forest], rows: NDArray[Any]) -> NDArray[np.float64]:
    """Predict by the trainer itself: every output of every row, probabilities as log-odds.

    Parameters
    ----------
    forests : list of Forest
    rows : ndarray of float32
        (n, features).

    Returns
    -------
    ndarray of float64
        (n, outputs), in the order of `OUTPUTS`.
    """
    sums = np.zeros((len(rows), len(OUTPUTS)))
    for output, share, columns, booster in forests:
        few = rows[:, columns.start : columns.stop]
        sums[:, output] += share * np.asarray(booster.predict(few, raw_score=True))
    return sums


def report(samples: Samples, chosen: NDArray[np.bool_], forests: list[Forest]) -> None:
    """Print mean CIEDE2000 by class on photographs that were not fitted: as is, best sliders, chosen sliders."""
    indexes = np.flatnonzero(chosen)
    sums = predicted(forests, samples["features"][indexes])
    found: dict[str, list[tuple[float, float, float]]] = {}
    for index, row in zip(indexes, sums, strict=True):
        before, truth = (rgb2lab(samples[key][index][None] / np.float32(255))[0] for key in ("before", "truth"))
        rgb = samples["before"][index].astype(np.float32) / np.float32(255)
        chosen_sliders = to_adjustments(likely_corrections(as_prediction(row)))
        errors = [deltaE_ciede2000(truth, before).mean()]
        for adjustments in (as_adjustments(samples["targets"][index]), chosen_sliders):
            errors.append(deltaE_ciede2000(truth, rgb2lab(grade(rgb, adjustments)[None])[0]).mean())
        found.setdefault(str(samples["name"][index]), []).append((errors[0], errors[1], errors[2]))
    print(f"{'validation':14} as is   best  chosen")
    for name, errors_of in found.items():
        print(f"{name:14}" + "".join(f"{value:7.2f}" for value in np.mean(errors_of, axis=0)))


if __name__ == "__main__":
    main()
