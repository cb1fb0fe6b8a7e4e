"""Make what `train.py` learns from: photographs spoiled at random, and what brings each nearest to itself again."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import make_proxy
from studio.tone_mapping.colour import to_encoded, to_linear
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import SLIDERS, features
from studio.tone_mapping.light_map import histograms
from training.degrade import (
    CLASSES,
    Degradation,
    degrade,
    draw,
    draw_camera,
    draw_far_camera,
    draw_near_camera,
    film,
    metered,
    milder,
    old_film,
    seeded,
    style,
    through_jpeg,
    wrong_white_balance,
)

SEED = 1
PIXELS = 256  # of each sample, to fit and to judge by
CAMERAS = {"wrong_balance": draw_camera, "near": draw_near_camera, "far": draw_far_camera}
OF_LIGHT = (*CAMERAS, "old_film")  # made for the light; that film has no faults is learnt, too
Samples = dict[str, NDArray[Any]]
Style = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


class UnlimitedAdjustments(Adjustments):
    """Sliders that may be beyond their ranges, as the inverse of a degradation may be."""

    def __post_init__(self) -> None:
        """Check nothing."""


_LOW = np.array([-3, -100, -100, -80, -40, 0], float)
_HIGH = np.array([3.5, 0, 100, 80, 100, 80], float)
_UNIT = np.array([0.2, 5, 8, 5, 10, 10], float)  # steps of about the same visible size


def kinds() -> list[tuple[str, float, Style | None]]:
    """List what each photograph is made into: class, the least share of its strength, and how it is varied before."""
    classes = [name for name in CLASSES if name != "good"]
    listed: list[tuple[str, float, Style | None]] = []
    for varied, good, times, milder_times, unretouched in ((None, 6, 3, 6, 4), (style, 6, 2, 4, 2), (film, 6, 1, 2, 1)):
        listed += [("good", 1.0, varied)] * good
        listed += [(name, 1.0, varied) for name in classes for _ in range(times)]
        listed += [("mix_all", 0.0, varied)] * milder_times
        listed += [("unretouched", 0.3, varied)] * unretouched
    for varied, times, near in ((None, 6, 4), (style, 4, 2), (film, 2, 2)):
        listed += [("wrong_balance", 1.0, varied)] * times
        listed += [("near", 1.0, varied)] * near
    listed += [("old_film", 1.0, film)] * 6
    for varied, times in ((None, 7), (style, 5), (metered, 10)):
        listed += [("far", 1.0, varied)] * times
    return listed


def make_samples(files: list[Path], kept: Path) -> Samples:
    """Make the samples of photographs, in their order.

    Parameters
    ----------
    files : list of Path
    kept : Path
        A folder for them, a file a photograph: what is there already is not made again.

    Returns
    -------
    dict of str to ndarray
        ``features colours targets name style before truth photo``, a row a sample.
    """
    kept.mkdir(parents=True, exist_ok=True)
    made: list[Samples] = []
    # Not forked: OpenCV's threads are not there in a fork, which then waits for them without end.
    workers = ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,))
    with workers:
        for number, file in enumerate(workers.map(partial(_keep_samples, folder=kept), files)):
            with np.load(file) as arrays:
                of_photo = dict(arrays)
            made.append(of_photo | {"photo": np.full(len(of_photo["name"]), number)})
            if number % 20 == 0:
                print(f"{number} of {len(files)} photographs", flush=True)
    return {key: np.concatenate([of_photo[key] for of_photo in made]) for key in made[0]}


def _keep_samples(photo: Path, folder: Path) -> Path:
    file = folder / f"{photo.stem}.npz"
    if not file.exists():
        partial_file = file.with_suffix(".part.npz")
        np.savez(partial_file, allow_pickle=False, **samples_of(photo))
        partial_file.rename(file)
    return file


def samples_of(file: Path) -> dict[str, NDArray[Any]]:
    """Make the samples of one photograph, a row each.

    Parameters
    ----------
    file : Path

    Returns
    -------
    dict of str to ndarray
        As `make_samples` has them, without ``photo``.

    Raises
    ------
    FileNotFoundError
        There is no such picture.
    """
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(file)
    made: dict[str, list[Any]] = {
        key: [] for key in ("features", "colours", "targets", "name", "style", "before", "truth")
    }
    for turn, (name, least, varied) in enumerate(kinds()):
        random = seeded(SEED, file.name, turn)
        spoiled, truth, degradation = _spoiled(np.asarray(pixels, np.uint8), name, least, varied, random)
        chosen = random.integers(0, truth.shape[0] * truth.shape[1], PIXELS)
        one, other = (image.reshape(-1, 3)[chosen, ::-1] for image in (spoiled, truth))
        is_meant = name in ("good", "old_film")
        made["features"].append(features(spoiled))
        made["colours"].append(histograms(spoiled))
        made["targets"].append(np.zeros(len(SLIDERS)) if is_meant else best_sliders(one, other, degradation))
        made["name"].append("milder" if least == 0 else name)
        made["style"].append(varied.__name__ if varied else "")
        made["before"].append(one)
        made["truth"].append(other)
    return {key: np.array(values) for key, values in made.items()}


def _spoiled(
    pixels: NDArray[np.uint8], name: str, least: float, varied: Style | None, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Degradation]:
    """Spoil a crop; return it, its truth, and the degradation that comes nearest to what was done."""
    degradation = milder(draw(name, random), random.uniform(least, 1))
    truth = make_proxy(cropped(pixels, random, 0.4 if varied else 0.65))
    if name == "old_film":
        truth = old_film(truth, random)
        return through_jpeg(truth.astype(np.float32) / 255, random), truth, degradation
    if varied:
        truth = varied(truth, random)
    if name in CAMERAS:
        wrong = wrong_white_balance(truth, CAMERAS[name](random))
        return through_jpeg(wrong, random), truth, _cast_of(wrong, truth)
    camera = random if random.random() < 0.5 and name != "good" else None
    return through_jpeg(degrade(truth, degradation, camera), random), truth, degradation


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


def cropped(pixels: NDArray[np.uint8], random: np.random.Generator, least: float) -> NDArray[np.uint8]:
    """Crop at random to at least a share of each side, of the same shape.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3).
    random : numpy.random.Generator
    least : float
        0..1.

    Returns
    -------
    ndarray of uint8
    """
    height, width = pixels.shape[:2]
    share = random.uniform(least, 1)
    high, wide = int(height * share), int(width * share)
    top, left = int(random.integers(0, height - high + 1)), int(random.integers(0, width - wide + 1))
    return np.ascontiguousarray(pixels[top : top + high, left : left + wide])


def best_sliders(before: NDArray[np.uint8], truth: NDArray[np.uint8], degradation: Degradation) -> NDArray[np.float64]:
    """Fit `SLIDERS` by damped Gauss-Newton steps, from the inverse of the degradation.

    Distances are CIELAB's with chroma compressed as CIEDE2000 does, weighted towards their mean, not their square.

    Parameters
    ----------
    before, truth : ndarray of uint8
        (n, 3), red first: the same pixels spoiled, and as they should be.
    degradation : Degradation
        What was done, or comes nearest to it.

    Returns
    -------
    ndarray of float64
        (6,), in the order of `SLIDERS`.
    """
    rgb, goal = (image.astype(np.float32) / np.float32(255) for image in (before, truth))
    goal_lab = _lab(goal)
    weight = np.ones((len(goal), 3))
    weight[:, 1:] /= 1 + 0.045 * np.hypot(goal_lab[:, 1], goal_lab[:, 2])[:, None]

    def residual(sliders: NDArray[np.float64]) -> NDArray[np.float64]:
        difference: NDArray[np.float64] = (_lab(grade(rgb, as_adjustments(sliders))) - goal_lab) * weight
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


def as_adjustments(sliders: NDArray[np.float64]) -> UnlimitedAdjustments:
    """Name sliders, in the order of `SLIDERS`.

    Parameters
    ----------
    sliders : ndarray of float64
        (6,).

    Returns
    -------
    UnlimitedAdjustments
    """
    gain, blacks, temperature, tint, saturation, contrast = sliders.tolist()
    values = {
        "exposure": gain,
        "blacks": blacks,
        "temperature": temperature,
        "tint": tint,
        "saturation": saturation,
        "contrast": contrast,
    }
    return UnlimitedAdjustments(**values)


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    lab: NDArray[np.float32] = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2Lab)[0]
    return lab
