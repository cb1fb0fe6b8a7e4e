import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.minimatics.encode import encode_segment, to_deep_planes, to_planes
from studio.minimatics.models import FilmOutput, Size
from tests.unit.minimatics import judge

BARS = ["#ffffff", "#ffff00", "#00ffff", "#00ff00", "#ff00ff", "#ff0000", "#0000ff", "#000000", "#808080", "#c06020"]
COLOURS = np.array([list(bytes.fromhex(colour[1:]))[::-1] for colour in BARS], np.uint8)
SIZE = Size(width=320, height=180)
PRORES = FilmOutput.model_validate({"codec": "prores", "quality": "high"})


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(60)])
@pytest.mark.parametrize(("codec", "tag"), [("h264", "avc1"), ("hevc", "hvc1"), ("vp9", "vp09"), ("prores", "apch")])
def test_colours_and_tags_are_those_of_bt_709(tmp_path: Path, codec: Any, tag: str, fps: Fraction) -> None:
    output = FilmOutput.model_validate({"codec": codec, "quality": "high"})
    bars = np.repeat(np.repeat(COLOURS[None], 32, axis=1), 180, axis=0)
    encode_segment([bars] * 9, tmp_path / "bars.mp4", output, SIZE, fps, 2)
    stream = judge.probe(tmp_path / "bars.mp4")["video"]
    assert {name: stream[name] for name in ("codec_name", "codec_tag_string", "pix_fmt", "color_range")} == {
        "codec_name": codec,
        "codec_tag_string": tag,
        "pix_fmt": "yuv422p10le" if codec == "prores" else "yuv420p",
        "color_range": "tv",
    }
    assert {stream[f"color_{name}"] for name in ("space", "transfer", "primaries")} == {"bt709"}
    assert stream["r_frame_rate"] == stream["avg_frame_rate"] == f"{fps.numerator}/{fps.denominator}"
    assert stream["nb_frames"] == stream["nb_read_frames"] == "9"
    assert float(stream["duration"]) == pytest.approx(float(9 / fps), abs=1e-6)
    decoded = judge.pictures(tmp_path / "bars.mp4", 320, 180)
    assert np.abs(decoded[:, 90, 16::32].astype(int) - COLOURS).max() <= 2


def test_the_encoders_threads_do_not_share_a_frame(tmp_path: Path) -> None:
    """On a busy machine, slices of a frame that are encoded at once are not always the same."""
    path = tmp_path / "grey.mp4"
    encode_segment([np.full((180, 320, 3), 90, np.uint8)] * 3, path, FilmOutput(), SIZE, Fraction(25), 2)
    assert b" threads=2 " in path.read_bytes()
    assert b" sliced_threads=0 " in path.read_bytes()


def test_a_header_says_nothing_of_the_machine(tmp_path: Path) -> None:
    """The segments of two machines have the same one, or they are not joined."""
    path = tmp_path / "grey.mp4"
    output = FilmOutput.model_validate({"codec": "hevc"})
    encode_segment([np.full((180, 320, 3), 90, np.uint8)] * 3, path, output, SIZE, Fraction(25), 2)
    assert b"x265" not in path.read_bytes()
    assert b"cpuid" not in path.read_bytes()


def test_planes_are_those_of_the_recommendation() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (36, 64, 3)).astype(np.uint8)
    luma, blue, red = to_planes(pixels)
    b, g, r = (pixels[..., channel] / 255 for channel in range(3))
    light = 0.2126 * r + 0.7152 * g + 0.0722 * b
    assert np.abs(luma - (16 + 219 * light)).max() <= 0.6

    def sited(plane: Any) -> Any:
        """Halve: rows in pairs, columns by 1 2 1 about the even ones."""
        rows = (plane[::2] + plane[1::2]) / 2
        before = np.concatenate([rows[:, :1], rows[:, 1:-1:2]], axis=1)
        return before / 4 + rows[:, ::2] / 2 + rows[:, 1::2] / 4

    assert np.abs(blue - sited(128 + 224 * (b - light) / 1.8556)).max() <= 1.6
    assert np.abs(red - sited(128 + 224 * (r - light) / 1.5748)).max() <= 1.6


def test_deep_planes_are_those_of_the_recommendation_in_ten_bits() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (36, 64, 3)).astype(np.uint8)
    luma, blue, red = to_deep_planes(pixels)
    b, g, r = (pixels[..., channel] / 255 for channel in range(3))
    light = 0.2126 * r + 0.7152 * g + 0.0722 * b
    assert np.abs(luma - (64 + 876 * light)).max() <= 0.6

    def sited(plane: Any) -> Any:
        """Halve columns by 1 2 1 about the even ones."""
        before = np.concatenate([plane[:, :1], plane[:, 1:-1:2]], axis=1)
        return before / 4 + plane[:, ::2] / 2 + plane[:, 1::2] / 4

    assert np.abs(blue - sited(512 + 896 * (b - light) / 1.8556)).max() <= 1.1
    assert np.abs(red - sited(512 + 896 * (r - light) / 1.5748)).max() <= 1.1


def test_prores_keeps_more_than_eight_bits_do(tmp_path: Path) -> None:
    ramp = np.repeat(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 64, axis=0), 3, axis=2)
    encode_segment([ramp], tmp_path / "ramp.mov", PRORES, Size(width=256, height=64), Fraction(24), 2)
    raw = judge.run("ffmpeg", "-v", "error", "-i", tmp_path / "ramp.mov", "-f", "rawvideo", "-")
    luma = np.frombuffer(raw, np.uint16)[: 64 * 256].reshape(64, 256)
    assert np.abs((luma - 64.0) / 876 * 255 - np.arange(256)).max() <= 0.5


PANNING = """
import sys
from fractions import Fraction
from pathlib import Path
import skimage.data
from studio.minimatics.encode import encode_segment
from studio.minimatics.models import FilmOutput, Size

picture = skimage.data.coffee()
frames = [picture[number : number + 90, number : number + 160] for number in range(20)]
output = FilmOutput.model_validate({"codec": sys.argv[1], "quality": "draft" if sys.argv[1] == "vp9" else "standard"})
encode_segment(frames, Path(sys.argv[2]), output, Size(width=160, height=90), Fraction(24), 2)
"""


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "prores"])
def test_the_same_frames_make_the_same_file_whatever_memory_holds(tmp_path: Path, codec: str) -> None:
    """Encoders that read what nobody has written find something else there each time."""
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path, memory in zip(paths, ("77", "200"), strict=True):
        environment = {**os.environ, "MALLOC_PERTURB_": memory}
        subprocess.run([sys.executable, "-c", PANNING, codec, path], env=environment, check=True, timeout=240)
    assert paths[0].read_bytes() == paths[1].read_bytes()


class Stopped(Exception):  # noqa: N818
    """What a signal raises."""


def test_whatever_ends_the_encoding_ends_it_at_once(tmp_path: Path) -> None:
    """A frame that cannot be rendered, and a signal that says so anywhere."""
    grey = np.full((64, 64, 3), 90, np.uint8)

    def broken() -> Iterator[Any]:
        yield from [grey] * 5
        raise LookupError("shots.1")

    size, rate = Size(width=64, height=64), Fraction(24)
    with pytest.raises(LookupError, match=r"shots\.1"):
        encode_segment(broken(), tmp_path / "grey.mp4", FilmOutput(), size, rate, 2)

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGALRM, stop)
    gc.disable()  # it calls back to hypothesis, and Python drops what is raised there
    try:
        for milliseconds in range(2, 62):
            with pytest.raises(Stopped):  # noqa: PT012 the signal may come before the first frame
                signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000, 3)  # again where Python drops it
                encode_segment(itertools.repeat(grey, 100_000), tmp_path / "grey.mp4", FilmOutput(), size, rate, 2)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    deadline = time.monotonic() + 60
    while threads := [thread for thread in threading.enumerate() if thread.name.startswith("frames")]:
        assert time.monotonic() < deadline, threads
        time.sleep(0.01)
