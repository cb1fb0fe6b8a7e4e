"""Speed of tone mapping as ratios against named peers, in one run on one machine: `just bench`."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import skimage.data
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment, ToneCurve
from studio.tone_mapping.analyse import analyse_proxy, judged, make_proxy
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.auto import choose
from studio.tone_mapping.cube import write_cube
from studio.tone_mapping.detail import apply_detail
from studio.tone_mapping.learned import predict
from studio.tone_mapping.lut import compile_lut
from studio.tone_mapping.match import match
from studio.tone_mapping.pipeline import automatic, grade_image
from training.quality import find_magick

Pixels = NDArray[Any]

SLIDERS = Adjustments(
    exposure=0.7,
    contrast=20,
    highlights=-30,
    shadows=20,
    whites=10,
    blacks=-10,
    vibrance=20,
    saturation=5,
    temperature=10,
    tint=-5,
)
EVERY = replace(
    SLIDERS,
    tone_curve=ToneCurve(rgb=((0, 0.05), (0.25, 0.2), (1, 1)), blue=((0, 0.05), (1, 0.95))),
    hsl=Hsl(
        orange=HueAdjustment(hue=-10, saturation=10, luminance=10),
        blue=HueAdjustment(hue=10, saturation=20, luminance=-20),
    ),
)


def best_of(work: Callable[[], Any], runs: int = 9) -> float:
    """Return the shortest time of several runs, in milliseconds, after one that warms up."""
    work()
    times = []
    for _ in range(runs):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return min(times) * 1000


def photo(width: int, height: int) -> Pixels:
    """Make a dark photograph of this size, with a real one's detail and noise."""
    small = skimage.data.coffee()[..., ::-1]
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 3, (height, width, 1)).astype(np.float32)
    pixels: Pixels = np.clip(large * 0.6 + noise, 0, 255).astype(np.uint8)
    return pixels


def opencolorio_alone(pixels: Pixels) -> float:
    """Return OpenColorIO's own time: the same LUT, in and out at the pixels' depth, one thread, one call."""
    transform = ocio.Lut3DTransform(gridSize=33, interpolation=ocio.INTERP_TETRAHEDRAL)
    transform.setData(compile_lut(SLIDERS).reshape(-1))
    processor = ocio.Config.CreateRaw().getProcessor(transform)
    depth = ocio.BIT_DEPTH_UINT8 if pixels.dtype == np.uint8 else ocio.BIT_DEPTH_UINT16
    cpu = processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_LOSSLESS)
    height, width, _ = pixels.shape
    out, size = np.empty_like(pixels), pixels.itemsize

    def describe(array: Pixels) -> Any:
        order = ocio.CHANNEL_ORDERING_RGB
        return ocio.PackedImageDesc(array.reshape(-1), width, height, order, depth, size, 3 * size, 3 * size * width)

    return best_of(lambda: cpu.apply(describe(pixels), describe(out)))


def choose_sliders(pixels: Pixels) -> Any:
    """Do all that automatic correction does before it compiles a LUT."""
    proxy = judged(make_proxy(pixels))
    return choose(analyse_proxy(proxy), predict(proxy))


def main() -> None:
    """Print every figure with what it is compared to."""
    pixels = photo(4000, 3000)
    bench_apply(pixels)
    print(f"compile_lut 33                       {best_of(lambda: compile_lut(SLIDERS)):7.1f} ms")
    print(f"compile_lut 33, curve and hues too   {best_of(lambda: compile_lut(EVERY)):7.1f} ms")
    print(f"write_cube 33                        {best_of(lambda: write_cube(compile_lut(SLIDERS), 'look')):7.1f} ms")
    print(f"analysis of 12 MP                    {best_of(lambda: choose_sliders(pixels)):7.1f} ms")
    proxies = [make_proxy(photo(512, 341)), make_proxy(pixels)]
    print(f"match of two proxies                 {best_of(lambda: match(proxies[0], proxies[1])):7.1f} ms")
    bench_detail(pixels)
    bench_auto_correct(pixels)
    bench_auto_correct(photo(6000, 4000))
    bench_command_line(pixels)


def bench_apply(pixels: Pixels) -> None:
    """Compare the LUT's application with OpenColorIO's own: with the dither, and at 16 bits, which has none."""
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    lut = compile_lut(SLIDERS)
    for name, source in {"8 bits, dithered": pixels, "16 bits": pixels.astype(np.uint16) * np.uint16(257)}.items():
        alone, out = opencolorio_alone(source), np.empty_like(source)
        print(f"OpenColorIO alone, 1 thread, {name:17}{megapixels / alone * 1000:5.0f} MP/s")
        for threads in (1, 2):
            ours = best_of(partial(apply_lut, source, lut, threads, out))
            rate = f"{megapixels / ours * 1000:5.0f} MP/s   {alone / ours:.2f} x OpenColorIO alone"
            print(f"apply_lut, {threads} thread(s), {name:17}      {rate}")


def bench_detail(pixels: Pixels) -> None:
    """Compare the spatial sliders with one bilateral filter of OpenCV's, over 9 pixels."""
    bilateral = best_of(lambda: cv2.bilateralFilter(pixels, 9, 25, 9), 3)
    for name, sliders in {
        "texture": (0, 50, 0),
        "clarity": (50, 0, 0),
        "dehaze": (0, 0, 50),
        "all": (50, 50, 50),
    }.items():
        ours = best_of(partial(apply_detail, pixels, *sliders))
        print(f"{name + ' of 12 MP':36} {ours:7.1f} ms   {ours / bilateral:.2f} x bilateral filter")


def bench_auto_correct(pixels: Pixels) -> None:
    """Compare a correction from bytes to bytes with OpenCV's plain decoding and encoding of the same JPEG."""
    jpeg = encoded(pixels)
    floor = best_of(lambda: encoded(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)))
    whole = best_of(partial(grade_image, jpeg, automatic(100)))
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    print(f"auto_correct of a {megapixels:.0f} MP JPEG        {whole:7.1f} ms   {whole / floor:.2f} x decode + encode")
    graded = grade_image(jpeg, automatic(100))
    timings = "  ".join(f"{name} {value:.0f}" for name, value in graded.timings_ms.items())
    print(f"    decode + encode {floor:.1f} ms; ours with {len(graded.lut)} nodes: {timings}")


def bench_command_line(pixels: Pixels) -> None:
    """Compare `just grade` of one JPEG with ImageMagick's -normalize, each as a whole process, in turns."""
    imagemagick, just = find_magick(), shutil.which("just")
    if not (imagemagick and just):
        print("just grade                           not measured: there is no ImageMagick, or no just")
        return
    with TemporaryDirectory() as folder:
        picture = Path(folder, "picture.jpg")
        picture.write_bytes(encoded(pixels))
        commands: dict[str, list[str | Path]] = {
            "just grade": [just, "grade", picture, "--auto", "--out", Path(folder, "graded")],
            "-normalize": [imagemagick, picture, "-normalize", "-quality", "90", Path(folder, "normalized.jpg")],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(10):
            for name, command in commands.items():
                started = perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times[name].append((perf_counter() - started) * 1000)
    ours, theirs = (median(times[name][1:]) for name in commands)  # the first of each fills the caches
    print(f"just grade of a 12 MP JPEG           {ours:7.1f} ms   {ours / theirs:.2f} x ImageMagick's -normalize")


def encoded(pixels: Any) -> bytes:
    """Encode a JPEG as the pipeline does by default."""
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


if __name__ == "__main__":
    main()
