"""Judge auto-correct next to its peers: ``quality.py PHOTOS_DIR [--held-out] [--grey | --against DIR]``.

Mean CIEDE2000 to the truth at 512 px. The truth is a good photograph, of which every corrector gets the same spoiled
JPEG, by class of degradation; with ``--grey`` it is made black and white before. With ``--against`` it is the picture
of the same name in another folder, such as a person's retouch. "p90" is what nine of ten of ours stay below.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping.analyse import analyse_proxy, judged, make_proxy
from studio.tone_mapping.auto import choose
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import predict
from training.degrade import OUR_CLASSES, seeded, spoil
from training.photographs import listed

Pixels = NDArray[np.uint8]
Trial = tuple[str, Pixels, Pixels]  # the row that it counts in, what is corrected, the truth

SEED = 2026
SIDE = 512
GREY_CLASSES = ("under", "over", "flat", "good")  # those that have no colour in them
PICTURES = (".png", ".jpg", ".jpeg")
MOST_ASKEW = 0.01  # of a picture's shape, between the two of a pair


def ours(bgr: Pixels) -> Pixels:
    """Correct as auto-correct does, graded exactly."""
    proxy = judged(make_proxy(bgr))
    return _graded(bgr, choose(analyse_proxy(proxy), predict(proxy)).adjustments)


def rules(bgr: Pixels) -> Pixels:
    """Correct by the rules alone, graded exactly."""
    return _graded(bgr, choose(analyse_proxy(judged(make_proxy(bgr)))).adjustments)


def _graded(bgr: Pixels, adjustments: Any) -> Pixels:
    rgb = bgr[..., ::-1].astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(np.rint(grade(rgb, adjustments) * 255).astype(np.uint8)[..., ::-1])


def autocontrast(bgr: Pixels) -> Pixels:
    """Pillow's."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))))[..., ::-1]


def stretch(bgr: Pixels) -> Pixels:
    """Stretch all channels alike until one percent of luma is black, and one white."""
    luma = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
    low, high = np.percentile(luma, (1, 99))
    return np.asarray(np.clip((bgr - low) * (255 / max(high - low, 1)), 0, 255).round(), np.uint8)


def grey_world(bgr: Pixels) -> Pixels:
    """Scale the channels to the same mean, with OpenCV."""
    means = np.array(cv2.mean(bgr)[:3])
    return np.asarray(cv2.convertScaleAbs(bgr * (means.mean() / np.maximum(means, 1))), np.uint8)


def magick(program: str, option: str) -> Callable[[Pixels], Pixels]:
    """ImageMagick with one option."""

    def corrected(bgr: Pixels) -> Pixels:
        png = cv2.imencode(".png", bgr)[1].tobytes()
        done = subprocess.run([program, "png:-", option, "png:-"], input=png, capture_output=True, check=True).stdout
        return np.asarray(cv2.imdecode(np.frombuffer(done, np.uint8), cv2.IMREAD_COLOR), np.uint8)

    return corrected


def find_magick() -> str | None:
    """Find ImageMagick: `convert` may be another program of that name, or a script that only claims to be it."""
    for name, folder in product(("magick", "convert"), os.get_exec_path()):
        program = shutil.which(name, path=folder)
        if program is None:
            continue
        with open(os.path.realpath(program), "rb") as file:
            binary = file.read(4) == b"\x7fELF"
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stdout
        if binary and "ImageMagick" in said:
            return program
    return None


def correctors() -> dict[str, Callable[[Pixels], Pixels]]:
    """List everything that is judged."""
    found: dict[str, Callable[[Pixels], Pixels]] = {
        "leave": lambda bgr: bgr,
        "ours": ours,
        "rules": rules,
        "Pillow": autocontrast,
        "stretch": stretch,
        "grey world": grey_world,
    }
    program = find_magick()
    if program:
        found |= {"-normalize": magick(program, "-normalize"), "-auto-level": magick(program, "-auto-level")}
    return found


def read(file: Path) -> Pixels:
    """Read a photograph, 512 px at most.

    Parameters
    ----------
    file : Path

    Returns
    -------
    ndarray of uint8
        (h, w, 3) BGR.

    Raises
    ------
    FileNotFoundError
        There is no such picture.
    """
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(file)
    scale = SIDE / max(pixels.shape[:2])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(pixels, np.uint8)


def in_grey(bgr: Pixels) -> Pixels:
    """Turn to black and white by luma, as most programs do."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def lab(bgr: Pixels) -> NDArray[Any]:
    """Every second pixel of every second row: the mean over those is the mean over all to 0.02.

    Parameters
    ----------
    bgr : ndarray of uint8
        (h, w, 3).

    Returns
    -------
    ndarray of float64
        (h / 2, w / 2, 3) CIELAB.
    """
    return np.asarray(rgb2lab(np.ascontiguousarray(bgr[::2, ::2, ::-1])))


def degraded(files: Iterable[Path], grey: bool = False) -> Iterator[Trial]:
    """Spoil good photographs, each by every class; those in black and white by those without colour."""
    for file in files:
        pixels = in_grey(read(file)) if grey else read(file)
        for name in GREY_CLASSES if grey else OUR_CLASSES:
            yield name, spoil(pixels, name, seeded(SEED, file.name, name)), pixels


def paired(files: Iterable[Path], truths: Path) -> Iterator[Trial]:
    """Match pictures with those of the same name in another folder, whatever their type.

    Raises
    ------
    ValueError
        Where there is not just one, or its framing is another: it would be measured against other things.
    """
    for file in files:
        same = [other for other in pictures(truths) if other.stem == file.stem]
        if len(same) != 1:
            raise ValueError(f"{truths} has {len(same)} pictures for {file.name}: one is needed")
        pixels, truth = read(file), read(same[0])
        (height, width), (truth_height, truth_width) = pixels.shape[:2], truth.shape[:2]
        if abs(truth_width * height / (truth_height * width) - 1) > MOST_ASKEW:
            raise ValueError(f"{file.name} is {width} x {height}, its pair {truth_width} x {truth_height}: not alike")
        yield "pairs", pixels, np.asarray(cv2.resize(truth, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def pictures(folder: Path) -> list[Path]:
    """List a folder's pictures by name."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)


def judge(trials: Iterable[Trial], held: dict[str, Callable[[Pixels], Pixels]]) -> dict[str, dict[str, list[float]]]:
    """Measure the error by row, corrector and picture; last what one's own output is moved by.

    Parameters
    ----------
    trials : iterable of Trial
        Row, spoiled picture, and the one that it should become.
    held : dict of str to callable
        Correctors by name, each from BGR to BGR.

    Returns
    -------
    dict of str to dict of str to list of float
        Mean CIEDE2000 of each picture.
    """
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: {which: [] for which in held})
    own: dict[str, list[float]] = {which: [] for which in held}
    for number, (name, given, wanted) in enumerate(trials, 1):
        print(f"\r{number} pictures", end="", file=sys.stderr, flush=True)
        truth = lab(wanted)
        for which, correct in held.items():
            once = correct(given)
            errors[name][which].append(float(deltaE_ciede2000(truth, lab(once)).mean()))
            if which in ("ours", "rules"):
                own[which].append(float(deltaE_ciede2000(lab(once), lab(correct(once))).mean()))
    print(file=sys.stderr)
    return {**errors, "own output": own}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    judged = parser.add_mutually_exclusive_group()
    judged.add_argument("--held-out", action="store_true", help="of the training set, what was not trained on")
    judged.add_argument("--against", type=Path, metavar="DIR", help="the same pictures, as they should become")
    parser.add_argument("--grey", action="store_true", help="make the photographs black and white before")
    arguments = parser.parse_args()
    if arguments.grey and arguments.against:
        parser.error("--grey has no pairs: leave out --against")
    files = pictures(arguments.photos) if arguments.photos.is_dir() else []
    if arguments.held_out:
        files = [arguments.photos / name for name in listed(held_out=True)]
    if not files:
        parser.error(f"there are no pictures ({', '.join(PICTURES)}) in {arguments.photos}")
    held = correctors()
    trials = paired(files, arguments.against) if arguments.against else degraded(files, arguments.grey)
    errors = judge(trials, held)
    names = [*held]
    names.insert(2, "p90")
    print(f"{len(files)} photographs, mean CIEDE2000")
    if "-normalize" not in held:
        print("ImageMagick is not installed: its columns are left out")
    print(f"{'':14}" + "".join(f"{name:>12}" for name in names))
    for name, by_corrector in errors.items():
        cells = {which: f"{np.mean(values):12.2f}" for which, values in by_corrector.items() if values}
        cells["p90"] = f"{np.percentile(by_corrector['ours'], 90):12.2f}"
        print(f"{name:14}" + "".join(cells.get(which, f"{'':12}") for which in names))


if __name__ == "__main__":
    main()
