"""Judge auto-correct next to its peers on a folder of good photographs: ``quality.py PHOTOS_DIR [--held-out]``.

Mean CIEDE2000 to the truth at 512 px, by class of degradation; every corrector gets the same spoiled JPEG. "p90" is
what nine of ten of ours stay below.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping.analyse import analyse_proxy, make_proxy
from studio.tone_mapping.auto import choose
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import predict
from training.degrade import OUR_CLASSES, seeded, spoil
from training.photographs import listed

Pixels = NDArray[np.uint8]

SEED = 2026
SIDE = 512


def ours(bgr: Pixels) -> Pixels:
    """Correct as auto-correct does, graded exactly."""
    proxy = make_proxy(bgr)
    return _graded(bgr, choose(analyse_proxy(proxy), predict(proxy)).adjustments)


def rules(bgr: Pixels) -> Pixels:
    """Correct by the rules alone, graded exactly."""
    return _graded(bgr, choose(analyse_proxy(make_proxy(bgr))).adjustments)


def _graded(bgr: Pixels, adjustments: Any) -> Pixels:
    rgb = bgr[..., ::-1].astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(np.rint(grade(rgb, adjustments) * 255).astype(np.uint8)[..., ::-1])


def autocontrast(bgr: Pixels) -> Pixels:
    """Pillow's."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))))[..., ::-1]


def grey_world(bgr: Pixels) -> Pixels:
    """Scale the channels to the same mean, with OpenCV."""
    means = np.array(cv2.mean(bgr)[:3])
    return np.asarray(cv2.convertScaleAbs(bgr * (means.mean() / np.maximum(means, 1))), np.uint8)


def simple_balance() -> Callable[[Pixels], Pixels] | None:
    """OpenCV's SimpleWB, which only its build with contributed modules has."""
    contributed: Any = getattr(cv2, "xphoto", None)
    if contributed is None:
        return None
    balance = contributed.createSimpleWB()
    return lambda bgr: np.asarray(balance.balanceWhite(np.ascontiguousarray(bgr)), np.uint8)


def magick(program: str, option: str) -> Callable[[Pixels], Pixels]:
    """ImageMagick with one option."""

    def corrected(bgr: Pixels) -> Pixels:
        png = cv2.imencode(".png", bgr)[1].tobytes()
        done = subprocess.run([program, "png:-", option, "png:-"], input=png, capture_output=True, check=True).stdout
        return np.asarray(cv2.imdecode(np.frombuffer(done, np.uint8), cv2.IMREAD_COLOR), np.uint8)

    return corrected


def find_magick() -> str | None:
    """Find ImageMagick: `convert` may be another program of that name, or a script that only claims to be it."""
    for name in ("magick", "convert"):
        program = shutil.which(name)
        if program is None:
            continue
        with open(os.path.realpath(program), "rb") as file:
            binary = file.read(4) == b"\x7fELF" or os.name == "nt"
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
    }
    balance = simple_balance()
    found["SimpleWB" if balance else "grey world"] = balance or grey_world
    program = find_magick()
    if program:
        found |= {"-normalize": magick(program, "-normalize"), "-auto-level": magick(program, "-auto-level")}
    return found


def read(file: Path) -> Pixels:
    """Read a photograph, 512 px at most."""
    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(file)
    scale = SIDE / max(pixels.shape[:2])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(pixels, np.uint8)


def lab(bgr: Pixels) -> NDArray[Any]:
    """Every second pixel of every second row: the mean over those is the mean over all to 0.02."""
    return np.asarray(rgb2lab(np.ascontiguousarray(bgr[::2, ::2, ::-1])))


def judge(files: list[Path], held: dict[str, Callable[[Pixels], Pixels]]) -> dict[str, dict[str, list[float]]]:
    """Measure the error by class, corrector and photograph."""
    errors: dict[str, dict[str, list[float]]] = {
        name: {which: [] for which in held} for name in (*OUR_CLASSES, "own output")
    }
    for number, file in enumerate(files, 1):
        print(f"\r{number} of {len(files)} photographs", end="", file=sys.stderr, flush=True)
        pixels = read(file)
        truth = lab(pixels)
        for name in OUR_CLASSES:
            spoiled = spoil(pixels, name, seeded(SEED, file.name, name))
            for which, correct in held.items():
                once = correct(spoiled)
                errors[name][which].append(float(deltaE_ciede2000(truth, lab(once)).mean()))
                if which in ("ours", "rules"):
                    moved = deltaE_ciede2000(lab(once), lab(correct(once))).mean()
                    errors["own output"][which].append(float(moved))
    print(file=sys.stderr)
    return errors


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--held-out", action="store_true", help="of the training set, what was not trained on")
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.photos.iterdir() if file.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if arguments.held_out:
        files = [arguments.photos / name for name in listed(held_out=True)]
    held = correctors()
    errors = judge(files, held)
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
