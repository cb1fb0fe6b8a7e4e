"""Fit the model that chooses auto's sliders: ``train.py PHOTOS_DIR [--samples FILE]``, then `light.py`.

Every photograph is spoiled at random; the sliders that bring it nearest to itself again, by our own grade, are what is
learnt. The same photographs give the same file.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import lightgbm
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import make_proxy
from studio.tone_mapping.auto import faded, shared_out
from studio.tone_mapping.grade import grade, to_encoded
from studio.tone_mapping.learned import MODEL_FILE, OUTPUTS, SLIDERS, Model, as_prediction, features
from training.degrade import CLASSES, Degradation, degrade, draw, film, milder, seeded, style, through_jpeg
from training.photographs import listed

SAMPLE_FILE = Path(__file__).parents[1] / "tests/unit/tone_mapping/learned_sample.npz"
SEED = 1
FOREST_SEEDS = (1, 2)
# A sample of a good photograph against a spoiled one: for the sliders, and for telling the good ones, which fades them.
SLIDER_WEIGHT, GOOD_WEIGHT = 2.0, 6.0
ROUNDS, LEAVES, RATE, BINS = 220, 40, 0.05, 63
Style = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
PIXELS = 256  # of each sample, to fit and to judge by
_REST = Adjustments()
_LOW = np.array([-3, -100, -90, -70, -40, 0], float)
_HIGH = np.array([3.5, 0, 90, 70, 100, 80], float)
_UNIT = np.array([0.2, 5, 8, 5, 10, 10], float)  # steps of about the same visible size


def main() -> None:
    """Run from the command line."""
    samples = asked_samples(__doc__, make_samples)
    validation = samples["photo"] % 5 == 0
    model_of_most = fit(samples, ~validation, FOREST_SEEDS[:1])
    report(samples, validation, model_of_most)
    boosters = fit(samples, np.ones_like(validation), FOREST_SEEDS)
    model = flatten(boosters)
    np.savez_compressed(MODEL_FILE, **vars(model))
    rows = samples["features"][:: len(validation) // 8]
    np.savez_compressed(SAMPLE_FILE, rows=rows, expected=predicted(boosters, rows))
    print(f"{MODEL_FILE.name}: {MODEL_FILE.stat().st_size:,} bytes, {len(model.root):,} trees")


def asked_samples(
    description: str | None, make: Callable[[list[Path]], dict[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Make the samples of the photographs that the command line names, or read those that it says were kept."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--samples", type=Path, help="keep the samples here, and take them from here when present")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.samples and arguments.samples.exists():
        with np.load(arguments.samples) as kept:
            return dict(kept)
    samples = make([arguments.photos / name for name in listed(held_out=False)])
    if arguments.samples:
        np.savez(arguments.samples, allow_pickle=False, **samples)
    return samples


def kinds(wrong_balance: int = 0) -> list[tuple[str, float, Style | None]]:
    """List what each photograph is made into: class, the least share of its strength, and how it is varied before.

    With `wrong_balance`, these many times as many of that class as of any other are among them.
    """
    classes = [name for name in CLASSES if name != "good"]
    listed: list[tuple[str, float, Style | None]] = []
    for varied, good, times, milder_times, unretouched in ((None, 6, 3, 6, 4), (style, 6, 2, 4, 2), (film, 6, 1, 2, 1)):
        listed += [("good", 1.0, varied)] * good
        listed += [(name, 1.0, varied) for name in classes for _ in range(times)]
        listed += [("mix_all", 0.0, varied)] * milder_times
        listed += [("unretouched", 0.3, varied)] * unretouched
        listed += [("wrong_balance", 1.0, varied)] * (wrong_balance * times)
    return listed


def make_samples(files: list[Path]) -> dict[str, NDArray[Any]]:
    """Degrade each photograph in every way, and find statistics and best sliders."""
    made: list[dict[str, list[Any]]] = []
    with ProcessPoolExecutor(initializer=cv2.setNumThreads, initargs=(1,)) as workers:
        for number, of_photo in enumerate(workers.map(_samples_of, files)):
            made.append(of_photo | {"photo": [number] * len(of_photo["name"])})
            if number % 20 == 0:
                print(f"{number} of {len(files)} photographs", flush=True)
    return {key: np.concatenate([np.array(of_photo[key]) for of_photo in made]) for key in made[0]}


def _samples_of(file: Path) -> dict[str, list[Any]]:
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(file)
    made: dict[str, list[Any]] = {key: [] for key in ("features", "targets", "name", "style", "before", "truth")}
    for turn, (name, least, varied) in enumerate(kinds()):
        random = seeded(SEED, file.name, turn)
        degradation = milder(draw(name, random), random.uniform(least, 1))
        truth = make_proxy(cropped(np.asarray(pixels, np.uint8), random, 0.4 if varied else 0.65))
        if varied:
            truth = varied(truth, random)
        camera = random if random.random() < 0.5 and name != "good" else None
        spoiled = through_jpeg(degrade(truth, degradation, camera), random)
        chosen = random.integers(0, truth.shape[0] * truth.shape[1], PIXELS)
        one, other = (image.reshape(-1, 3)[chosen, ::-1] for image in (spoiled, truth))
        made["features"].append(features(spoiled))
        made["targets"].append(np.zeros(len(SLIDERS)) if name == "good" else best_sliders(one, other, degradation))
        made["name"].append("milder" if least == 0 else name)
        made["style"].append(varied.__name__ if varied else "")
        made["before"].append(one)
        made["truth"].append(other)
    return made


def cropped(pixels: NDArray[np.uint8], random: np.random.Generator, least: float) -> NDArray[np.uint8]:
    """Crop at random to at least a share of each side, of the same shape."""
    height, width = pixels.shape[:2]
    share = random.uniform(least, 1)
    high, wide = int(height * share), int(width * share)
    top, left = int(random.integers(0, height - high + 1)), int(random.integers(0, width - wide + 1))
    return np.ascontiguousarray(pixels[top : top + high, left : left + wide])


def best_sliders(before: NDArray[np.uint8], truth: NDArray[np.uint8], degradation: Degradation) -> NDArray[np.float64]:
    """Fit `SLIDERS` by damped Gauss-Newton steps, from the inverse of the degradation.

    Distances are CIELAB's with chroma compressed as CIEDE2000 does, weighted towards their mean, not their square.
    """
    rgb, goal = (image.astype(np.float32) / np.float32(255) for image in (before, truth))
    goal_lab = _lab(goal)
    weight = np.ones((len(goal), 3))
    weight[:, 1:] /= 1 + 0.045 * np.hypot(goal_lab[:, 1], goal_lab[:, 2])[:, None]

    def residual(sliders: NDArray[np.float64]) -> NDArray[np.float64]:
        difference: NDArray[np.float64] = (_lab(grade(rgb, _adjustments(sliders))) - goal_lab) * weight
        return difference

    def cost(distances: NDArray[np.float64], sliders: NDArray[np.float64]) -> float:
        return float(np.sqrt((distances**2).sum(1) + 0.25).mean() + 0.002 * np.sum((sliders / _UNIT) ** 2))

    # Contrast is asked for only where it was taken: else it would be fitted to what no slider repairs.
    highest = _HIGH * np.where(degradation.contrast < 0, 1, [1, 1, 1, 1, 1, 0])
    sliders = np.clip(_inverse(degradation), _LOW, highest)
    now = residual(sliders)
    best = cost(now, sliders)
    damping = 1e-2
    for _ in range(8):
        inward = np.where(sliders + 0.5 * _UNIT > highest, -1, 1)
        columns = [
            (residual(sliders + 0.5 * sign * unit) - now).ravel() / (0.5 * sign)
            for unit, sign in zip(np.diag(_UNIT), inward, strict=True)
        ]
        jacobian = np.array(columns).T
        scale = np.repeat(1 / np.sqrt((now**2).sum(1) + 0.25), 3) / len(now)
        normal = (jacobian * scale[:, None]).T @ jacobian + 0.004 * np.eye(len(_UNIT))
        slope = (jacobian * scale[:, None]).T @ now.ravel() + 0.004 * sliders / _UNIT
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slope) * _UNIT
        tried = np.clip(sliders + step, _LOW, highest)
        after = residual(tried)
        reached = cost(after, tried)
        if reached < best:
            done = best - reached < 0.002
            sliders, now, best, damping = tried, after, reached, damping * 0.3
            if done:
                break
        else:
            damping *= 10
            if damping > 100:
                break
    return sliders


def _inverse(degradation: Degradation) -> NDArray[np.float64]:
    low = float(to_encoded(np.array(degradation.low * 2**degradation.exposure, np.float32)))
    gain = -degradation.exposure - np.log2(degradation.high - degradation.low)
    warm, green = degradation.warm, degradation.green
    saturation = 1 / degradation.saturation - 1
    return np.array([gain, -low / 0.0035, -62.5 * warm, 125 * green, 100 * saturation, -degradation.contrast])


def _adjustments(sliders: NDArray[np.float64]) -> Adjustments:
    gain, blacks, temperature, tint, saturation, contrast = sliders.tolist()
    values = {
        "exposure": gain,
        "blacks": blacks,
        "temperature": temperature,
        "tint": tint,
        "saturation": saturation,
        "contrast": contrast,
    }
    return _REST.model_copy(update=values)  # a new one would copy every default, thousands of times


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    lab: NDArray[np.float32] = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2Lab)[0]
    return lab


def fit(
    samples: dict[str, NDArray[Any]], chosen: NDArray[np.bool_], seeds: tuple[int, ...]
) -> list[tuple[int, float, lightgbm.Booster]]:
    """Fit every output: the mean of forests of least absolute and of least squares for the sliders, of every seed."""
    rows, names, targets = samples["features"][chosen], samples["name"][chosen], samples["targets"][chosen]
    good = names == "good"
    strong = np.where(np.abs(targets[:, 2]) > 30, 1.5, 1)  # casts: rare, and seen at once

    def grown(forest: tuple[int, float, str, int]) -> tuple[int, float, lightgbm.Booster]:
        output, share, objective, seed = forest
        answer, of_good = (targets[:, output], SLIDER_WEIGHT) if output < len(SLIDERS) else (good, GOOD_WEIGHT)
        weight = strong * np.where(good, of_good, 1)
        return output, share / len(seeds), grow(rows, answer, weight, objective, seed)

    forests = []
    for name in (*SLIDERS, "good"):
        losses = [("binary", 1.0)] if name == "good" else [("regression_l1", 0.5), ("regression", 0.5)]
        forests += [(OUTPUTS.index(name), share, objective, seed) for objective, share in losses for seed in seeds]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(grown, forests))


def grow(rows: NDArray[Any], answer: NDArray[Any], weight: NDArray[Any], objective: str, seed: int) -> lightgbm.Booster:
    """Grow one forest, on one thread: the same data give the same trees."""
    parameters = {
        "num_leaves": LEAVES,
        "learning_rate": RATE,
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
        "objective": objective,
        "seed": seed,
    }
    data = lightgbm.Dataset(rows, answer.astype(float), weight=weight, params={"max_bin": BINS, "num_threads": 1})
    return lightgbm.train(parameters, data, ROUNDS)


def flatten(boosters: list[tuple[int, float, lightgbm.Booster]]) -> Model:
    """Lay all trees out in flat arrays; thresholds rounded down to float32, which splits float32 values the same."""
    root: list[int] = []
    output_of: list[int] = []
    nodes: list[tuple[int, float, int, int]] = []
    leaves: list[float] = []

    def lay(tree: dict[str, Any], share: float) -> int:
        if "leaf_value" in tree:
            leaves.append(tree["leaf_value"] * share)
            return ~(len(leaves) - 1)
        place = len(nodes)
        nodes.append((0, 0.0, 0, 0))
        left, right = lay(tree["left_child"], share), lay(tree["right_child"], share)
        exact = tree["threshold"]
        threshold = np.float32(exact)
        if threshold > exact:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        nodes[place] = (tree["split_feature"], float(threshold), left, right)
        return place

    for output, share, booster in boosters:
        for tree in booster.dump_model()["tree_info"]:
            root.append(lay(tree["tree_structure"], share))
            output_of.append(output)
    feature, threshold, left, right = zip(*nodes, strict=True)
    return Model(
        root=np.array(root, np.int32),
        output=np.array(output_of, np.int16),
        feature=np.array(feature, np.int16),
        threshold=np.array(threshold, np.float32),
        left=np.array(left, np.int32),
        right=np.array(right, np.int32),
        leaf=np.array(leaves, np.float32),
    )


def predicted(boosters: list[tuple[int, float, lightgbm.Booster]], rows: NDArray[Any]) -> NDArray[np.float64]:
    """Predict by the trainer itself: every output of every row, likelihoods as log-odds."""
    sums = np.zeros((len(rows), len(OUTPUTS)))
    for output, share, booster in boosters:
        sums[:, output] += share * np.asarray(booster.predict(rows, raw_score=True))
    return sums


def report(samples: dict[str, NDArray[Any]], chosen: NDArray[np.bool_], boosters: Any) -> None:
    """Print mean CIEDE2000 by class on photographs that were not fitted: as is, best sliders, chosen sliders."""
    indexes = np.flatnonzero(chosen)
    sums = predicted(boosters, samples["features"][indexes])
    sums[:, OUTPUTS.index("wrong_light")] = -np.inf  # that part is not fitted here
    found: dict[str, list[tuple[float, float, float]]] = {}
    for index, row in zip(indexes, sums, strict=True):
        before, truth = (rgb2lab(samples[key][index][None] / np.float32(255))[0] for key in ("before", "truth"))
        rgb = samples["before"][index].astype(np.float32) / np.float32(255)
        chosen_sliders = shared_out(faded(as_prediction(row)))
        errors = [deltaE_ciede2000(truth, before).mean()]
        for adjustments in (_adjustments(samples["targets"][index]), chosen_sliders):
            errors.append(deltaE_ciede2000(truth, rgb2lab(grade(rgb, adjustments)[None])[0]).mean())
        found.setdefault(str(samples["name"][index]), []).append((errors[0], errors[1], errors[2]))
    print(f"{'validation':14} as is   best  chosen")
    for name, errors_of in found.items():
        print(f"{name:14}" + "".join(f"{value:7.2f}" for value in np.mean(errors_of, axis=0)))


if __name__ == "__main__":
    main()
