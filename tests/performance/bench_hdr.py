"""Quality of HDR tone mapping by TMQI beside simple operators: `python -m tests.performance.bench_hdr FOLDER`.

FOLDER has OpenEXR and Radiance HDR files. Every operator gets the scene with its log-average at 0.18.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.colour import to_encoded
from studio.tone_mapping.guided import shrink
from studio.tone_mapping.hdr import tone_map
from tests.performance.tmqi import tmqi

Array = NDArray[Any]

SIDE = 768  # scenes are compared at this size


def clip(scene: Array) -> Array:
    """Cut off what is above 1."""
    return scene


def reinhard(scene: Array) -> Array:
    """Erik Reinhard et al., "Photographic Tone Reproduction for Digital Images", 2002, equation 4."""
    luminance = scene @ np.array([0.0722, 0.7152, 0.2126], np.float32)
    scale = (1 + luminance / luminance.max() ** 2) / (1 + luminance)
    shown: Array = scene * scale[..., None]
    return shown


def aces(scene: Array) -> Array:
    """Krzysztof Narkowicz's fit of the ACES curve, 2015."""
    lit = scene / 0.6
    shown: Array = lit * (2.51 * lit + 0.03) / (lit * (2.43 * lit + 0.59) + 0.14)
    return shown


def with_key(operator: Callable[[Array], Array], scene: Array) -> Array:
    """Run an operator of linear light, and encode."""
    luminance = scene @ np.array([0.0722, 0.7152, 0.2126], np.float32)
    shown = operator(scene * (0.18 / np.exp(np.log(luminance[luminance > 0]).mean())))
    encoded: Array = np.rint(to_encoded(np.clip(shown, 0, 1)) * 255).astype(np.uint8)
    return encoded


def ours(scene: Array) -> Array:
    """Run Studio's."""
    encoded: Array = np.rint(tone_map(scene.copy()) / 257).astype(np.uint8)
    return encoded


def load(path: Path) -> Array:
    """Read a scene as BGR without anything that is no light."""
    scene: Any = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    scene = np.dstack([scene] * 3) if scene.ndim == 2 else scene[..., :3]
    mended: Array = shrink(np.nan_to_num(np.maximum(scene, 0), posinf=65504).astype(np.float32), SIDE)
    return mended


def main() -> None:
    """Print a line a scene, and the means and the least."""
    columns: dict[str, Callable[[Array], Array]] = {
        "clip": lambda scene: with_key(clip, scene),
        "reinhard": lambda scene: with_key(reinhard, scene),
        "aces": lambda scene: with_key(aces, scene),
        "ours": ours,
    }
    paths = sorted(path for path in Path(sys.argv[1]).iterdir() if path.suffix in (".exr", ".hdr", ".pic"))
    print(" " * 32, *(f"{name:>9}" for name in columns))
    scores = []
    for path in paths:
        scene = load(path)
        scores.append([tmqi(scene, operator(scene)).score for operator in columns.values()])
        print(f"{path.name:32}", *(f"{score:9.3f}" for score in scores[-1]))
    table = np.array(scores)
    print(f"{'mean':32}", *(f"{score:9.3f}" for score in table.mean(axis=0)))
    print(f"{'least':32}", *(f"{score:9.3f}" for score in table.min(axis=0)))

    scene = np.random.default_rng(0).lognormal(0, 2, (3000, 4000, 3)).astype(np.float32)
    started = perf_counter()
    tone_map(scene)
    print(f"tone_map: {(perf_counter() - started) * 1000 / 12:.0f} ms a megapixel")


if __name__ == "__main__":
    main()
