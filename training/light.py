"""Add to the model what a camera's wrong white balance is taken back by: ``light.py PHOTOS_DIR [--samples FILE]``.

After `train.py`, and apart from it: the casts that are learnt here are such as good photographs have, too, and would
make every slider unsure. The same photographs give the same trees.
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import lightgbm
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.analyse import make_proxy
from studio.tone_mapping.auto import off_locus
from studio.tone_mapping.grade import to_linear
from studio.tone_mapping.learned import LIGHT, MODEL_FILE, OUTPUTS, SLIDERS, Model, features
from training import train
from training.degrade import (
    Degradation,
    degrade,
    draw,
    draw_camera,
    draw_near_camera,
    film,
    milder,
    seeded,
    style,
    through_jpeg,
    wrong_white_balance,
)

# What scans of old film have, in EV: no camera was set to the wrong light there.
_WARM, _GREEN = (-0.2, 0.9), (-0.1, 0.35)
_STRONG, _NEAR = 24, (10, 0.15)  # least temperature of a cast, and how far off the locus it may be: tint, or a share
_GOOD_WEIGHT, _CAST_WEIGHT = 3.0, 2.0


def main() -> None:
    """Run from the command line."""
    boosters = fit(train.asked_samples(__doc__, make_samples))
    with np.load(MODEL_FILE) as arrays:
        model = joined(without_light(Model(**arrays)), train.flatten(boosters))
    np.savez_compressed(MODEL_FILE, **vars(model))
    with np.load(train.SAMPLE_FILE) as kept:
        rows, expected = kept["rows"], kept["expected"]
    of_light = [OUTPUTS.index(name) for name in LIGHT]
    expected[:, of_light] = train.predicted(boosters, rows)[:, of_light]
    np.savez_compressed(train.SAMPLE_FILE, rows=rows, expected=expected)
    print(f"{MODEL_FILE.name}: {MODEL_FILE.stat().st_size:,} bytes, {len(model.root):,} trees")


def make_samples(files: list[Path]) -> dict[str, NDArray[Any]]:
    """Spoil each photograph in every way, and find statistics and best sliders."""
    with ProcessPoolExecutor(initializer=cv2.setNumThreads, initargs=(1,)) as workers:
        made = list(workers.map(samples_of, files))
    return {key: np.concatenate([np.array(of_photo[key]) for of_photo in made]) for key in made[0]}


def samples_of(file: Path) -> dict[str, list[Any]]:
    """Make the samples of one photograph: all that `train.py` has, casts of cameras, and scans of old film."""
    read = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if read is None:
        raise FileNotFoundError(file)
    pixels = np.asarray(read, np.uint8)
    made: dict[str, list[Any]] = {key: [] for key in ("features", "targets", "name", "style")}

    def keep(spoiled: NDArray[np.uint8], targets: NDArray[Any], name: str, varied: train.Style | None) -> None:
        made["features"].append(features(spoiled))
        made["targets"].append(targets)
        made["name"].append(name)
        made["style"].append(varied.__name__ if varied else "")

    for turn, (name, least, varied) in enumerate(train.kinds(wrong_balance=2)):
        random = seeded(train.SEED, file.name, turn)
        truth = _truth(pixels, varied, random)
        if name == "wrong_balance":
            wrong = wrong_white_balance(truth, draw_camera(random))
            degradation = _cast_of(wrong, truth)
        else:
            degradation = milder(draw(name, random), random.uniform(least, 1))
            wrong = degrade(truth, degradation, random if random.random() < 0.5 and name != "good" else None)
        spoiled = through_jpeg(wrong, random)
        keep(spoiled, _targets(spoiled, truth, degradation, random, name), name, varied)
    for turn, varied in enumerate([None] * 4 + [style] * 2 + [film] * 2):
        random = seeded("mild", file.name, turn)
        truth = _truth(pixels, varied, random)
        wrong = wrong_white_balance(truth, draw_near_camera(random))
        spoiled = through_jpeg(wrong, random)
        keep(spoiled, _targets(spoiled, truth, _cast_of(wrong, truth), random, "near"), "near", varied)
    for turn in range(6):
        random = seeded("wide", file.name, turn)
        truth = make_proxy(train.cropped(pixels, random, 0.4))
        tinted = degrade(truth, Degradation(warm=random.uniform(*_WARM), green=random.uniform(*_GREEN)))
        scanned = film(np.rint(tinted * 255).astype(np.uint8), random)
        if turn % 2:
            scanned = through_jpeg(scanned.astype(np.float32) / 255, random)
        keep(scanned, np.zeros(len(SLIDERS)), "old_film", film)
    return made


def _truth(pixels: NDArray[np.uint8], varied: train.Style | None, random: np.random.Generator) -> NDArray[np.uint8]:
    truth = make_proxy(train.cropped(pixels, random, 0.4 if varied else 0.65))
    return varied(truth, random) if varied else truth


def _targets(
    spoiled: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    degradation: Degradation,
    random: np.random.Generator,
    name: str,
) -> NDArray[np.float64]:
    if name == "good":
        return np.zeros(len(SLIDERS))
    chosen = random.integers(0, truth.shape[0] * truth.shape[1], train.PIXELS)
    one, other = (image.reshape(-1, 3)[chosen, ::-1] for image in (spoiled, truth))
    return train.best_sliders(one, other, degradation)


def _cast_of(wrong: NDArray[Any], truth: NDArray[np.uint8]) -> Degradation:
    """Find the gains that come nearest to a cast, from the means of the light."""
    blue, green, red = np.log2(
        [
            (to_linear(wrong[..., channel]).mean() + 1e-3)
            / (to_linear(truth[..., channel] / np.float32(255)).mean() + 1e-3)
            for channel in range(3)
        ]
    )
    return Degradation(warm=float(red - blue), green=float(green - (red + blue) / 2))


def fit(samples: dict[str, NDArray[Any]]) -> list[tuple[int, float, lightgbm.Booster]]:
    """Fit what takes a cast back by every sample, and the odds of one: of cameras that are far off, those on the locus.

    Film is no sign of a wrong light, whatever its colours: what is old film, and spoiled photographs in its manner, are
    not among the casts.
    """
    rows, names, targets = samples["features"], samples["name"], samples["targets"]
    temperature, tint = targets[:, SLIDERS.index("temperature")], targets[:, SLIDERS.index("tint")]
    size = np.abs(temperature)
    wrong = (size > _STRONG) & (off_locus(temperature, tint) < np.maximum(_NEAR[0], _NEAR[1] * size))
    kept = (names != "wrong_balance") | wrong
    weight = np.where(names == "good", _GOOD_WEIGHT, 1)
    weight = weight * np.where(np.isin(names, ("wrong_balance", "near", "old_film")), _CAST_WEIGHT, 1)
    digital = kept & ~((samples["style"] == "film") & (size > 8))
    forests = [("wrong_light", "binary", 1.0, wrong, digital)]
    for name, answer in (("light_temperature", temperature), ("light_tint", tint)):
        forests += [(name, loss, 0.5, answer, kept & (names != "old_film")) for loss in ("regression_l1", "regression")]
    return [
        (
            OUTPUTS.index(name),
            share / len(train.FOREST_SEEDS),
            train.grow(rows[chosen], answer[chosen], weight[chosen], loss, seed),
        )
        for name, loss, share, answer, chosen in forests
        for seed in train.FOREST_SEEDS
    ]


def without_light(model: Model) -> Model:
    """Drop the trees of the light, which are the last."""
    trees = int((~np.isin(model.output, [OUTPUTS.index(name) for name in LIGHT])).sum())
    nodes = int(model.root[trees]) if trees < len(model.root) else len(model.feature)
    left, right = model.left[:nodes], model.right[:nodes]
    leaves = int(max((~left).max(), (~right).max())) + 1
    return Model(
        root=model.root[:trees],
        output=model.output[:trees],
        feature=model.feature[:nodes],
        threshold=model.threshold[:nodes],
        left=left,
        right=right,
        leaf=model.leaf[:leaves],
    )


def joined(one: Model, other: Model) -> Model:
    """Put the trees of one model behind another's."""

    def moved(places: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.where(places >= 0, places + len(one.feature), places - len(one.leaf)).astype(np.int32)

    parts = {name: (array, getattr(other, name)) for name, array in vars(one).items()}
    for name in ("root", "left", "right"):
        parts[name] = (parts[name][0], moved(parts[name][1]))
    return Model(**{name: np.concatenate(pair) for name, pair in parts.items()})


if __name__ == "__main__":
    main()
