"""Debian's ffmpeg and ffprobe: another build, and another version, than the libraries that films are made by."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def run(*command: object) -> bytes:
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, f"{command[0]} complains: {done.stderr.decode()}"
    return done.stdout


def probe(path: Path) -> dict[str, dict[str, Any]]:
    """Return the streams of a file by their kind; `nb_read_frames` are decoded."""
    told = run("ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", path)
    return {stream["codec_type"]: stream for stream in json.loads(told)["streams"]}


def frame_hashes(path: Path) -> list[str]:
    """Return MD5 of every decoded frame of the picture, and when it is shown."""
    told = run("ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-f", "framemd5", "-").decode()
    lines = [line.split(",") for line in told.splitlines() if not line.startswith("#")]
    return [f"{line[2].strip()} {line[5].strip()}" for line in lines]


def pictures(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Decode all frames to BGR."""
    raw = run("ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "bgr24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def sound(path: Path) -> NDArray[np.float32]:
    """Decode the sound to (n, 2)."""
    raw = run("ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-f", "f32le", "-")
    return np.frombuffer(raw, np.float32).reshape(-1, 2)
