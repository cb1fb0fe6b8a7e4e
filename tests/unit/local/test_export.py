"""`python -m local.export`, as a process of its own in an environment that names no service."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from local.layers import ROOT
from tests.unit.local.test_grade import ENVIRONMENT, files_in
from tests.unit.minimatics import judge
from tests.waiting import SECONDS

SHOT = {"image_key": "pictures/coffee.jpg", "duration_frames": 20, "motion": "ken_burns_in"}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.export", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(skimage.data.coffee()).save(tmp_path / "pictures" / "coffee.jpg")
    return tmp_path


def write(folder: Path, **project: Any) -> Path:
    path = folder / "project.json"
    path.write_text(json.dumps({"size": {"width": 160, "height": 90}, "shots": [SHOT, SHOT], **project}))
    return path


def test_a_project_becomes_a_film_alike_by_one_process_or_two(folder: Path) -> None:
    project = write(folder, output={"captions": "sidecar"}, shots=[SHOT | {"caption": {"text": "Hello"}}, SHOT])
    hashes = {}
    for name, jobs in (("one", 1), ("two", 2)):
        out = folder / "out" / f"{name}.mp4"
        done = run(project, "--out", out, "--segments", 2, "--jobs", jobs, "--threads", 1)
        assert done.returncode == 0, done.stderr
        assert "40 frames" in done.stdout
        hashes[name] = judge.frame_hashes(out)
    assert len(hashes["one"]) == 40
    assert hashes["one"] == hashes["two"]
    assert files_in(folder / "out") == {
        f"{name}.{kind}" for name in ("one", "two") for kind in ("mp4", "poster.jpg", "edl", "srt", "vtt")
    }


def test_a_dry_run_tells_the_plan_and_renders_nothing(folder: Path) -> None:
    done = run(write(folder, fps=29.97), "--dry-run", "--segments", 2)
    assert done.returncode == 0
    assert "160x90, 30000/1001 frames/s, h264 in mp4, standard" in done.stdout
    assert "40 frames, 1.335 s, 2 shots" in done.stdout
    assert "segment 0: frames 0 to 19" in done.stdout
    assert "segment 1: frames 20 to 39" in done.stdout
    assert files_in(folder) == {"project.json", "pictures/coffee.jpg"}


def test_all_that_is_wrong_is_told_and_nothing_written(folder: Path) -> None:
    done = run(write(folder, fps=0, shots=[SHOT | {"duration_frames": 0}, {"image_key": "a.jpg"}]))
    assert done.returncode == 2
    assert {line.split(":")[0] for line in done.stderr.splitlines()} == {
        "fps",
        "shots.0.duration_frames",
        "shots.1.duration_frames",
    }
    done = run(write(folder, shots=[SHOT | {"image_key": "a.jpg"}, SHOT], audio=[{"audio_key": "b.mp3"}]))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "shots.0.image_key: a.jpg cannot be read: No such file or directory",
        "audio.0.audio_key: b.mp3 cannot be read: No such file or directory",
    ]
    assert run(folder / "none.json").returncode == 2
    (folder / "project.json").write_text("{")
    assert "Invalid JSON" in run(folder / "project.json").stderr
    assert files_in(folder) == {"project.json", "pictures/coffee.jpg"}


def test_what_the_film_is_made_of_is_never_written_over(folder: Path) -> None:
    picture = folder / "film.poster.jpg"
    (folder / "pictures" / "coffee.jpg").rename(picture)
    before = picture.read_bytes()
    project = write(folder, shots=[SHOT | {"image_key": picture.name}])
    for out in (folder / "film.mp4", folder / "pictures" / ".." / "film.mp4"):
        done = run(project, "--out", out)
        assert done.returncode == 2
        assert "film.poster.jpg" in done.stderr
    assert picture.read_bytes() == before


def test_what_cannot_be_written_or_read_is_told_before_anything_is_rendered(folder: Path) -> None:
    project = write(folder)
    for name in ("film.webm", "film.srt", "film"):
        done = run(project, "--out", folder / name)
        assert (done.returncode, done.stderr) == (2, f"{folder / name}: a film of h264 is named .mp4\n")
    done = run(write(folder, shots=[SHOT | {"image_key": "a\0b.jpg"}]))
    assert done.returncode == 2
    assert done.stderr.startswith("shots.0.image_key: String should match pattern")
    project.write_bytes('{"shots": "né"}'.encode("latin-1"))
    done = run(project)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{project}: Invalid JSON: 'utf-8' codec")
    project.write_text("[]")
    assert run(project).stderr.startswith("project: Input should be")
    assert files_in(folder) == {"project.json", "pictures/coffee.jpg"}


def test_no_captions_of_an_earlier_film_stay_beside_a_new_one(folder: Path) -> None:
    shots = [SHOT | {"caption": {"text": "Hello"}, "duration_frames": 2}]
    for captions, beside in (("both", {"project.srt", "project.vtt"}), ("burned", set())):
        told = {"project_id": "prj_1", "name": "Fox", "version": 2, "shot_count": 1}  # what a GET answers is taken
        assert run(write(folder, shots=shots, output={"captions": captions}, **told)).returncode == 0
        always = {"pictures/coffee.jpg", "project.poster.jpg", "project.edl"}
        assert files_in(folder) == {"project.json", "project.mp4", *always, *beside}


@pytest.mark.parametrize("broken", [True, False])
def test_a_failure_leaves_an_earlier_film_and_no_scraps(folder: Path, broken: bool) -> None:
    out = folder / "film.mp4"
    out.write_text("an earlier film")
    picture = folder / "pictures" / "half.jpg"
    whole = (folder / "pictures" / "coffee.jpg").read_bytes()
    picture.write_bytes(whole[: len(whole) // 2] if broken else whole)
    project = write(folder, shots=[SHOT, SHOT | {"image_key": "pictures/half.jpg"}])
    done = run(project, "--out", out, "--segments", 2)
    assert done.returncode == int(broken)
    if broken:
        assert "shots.1.image_key: pictures/half.jpg" in done.stderr
        assert "Traceback" not in done.stderr
        assert out.read_text() == "an earlier film"
    else:
        assert out.stat().st_size > 1000
    assert not [name for name in files_in(folder) if name.startswith(".")]


def test_a_terminal_sees_how_far_it_is_and_ctrl_c_ends_it(folder: Path) -> None:
    project = write(folder, size="720p", shots=[SHOT | {"duration_frames": 5000}])
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "local.export", str(project), "--segments", "2"]
    # Shells start what runs in the background with Ctrl-C ignored, and that is inherited; what handles it is not. Our
    # threads may hold locks that nobody would let go in a process that is forked to set it there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=its)
    signal.signal(signal.SIGINT, before)
    os.close(its)
    shown, deadline = "", time.monotonic() + SECONDS
    try:
        while " s left" not in shown:
            assert select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0], shown
            shown += os.read(ours, 4096).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
    finally:
        process.kill()
        os.close(ours)
    assert "%" in shown
    assert "frames/s" in shown
    assert files_in(folder) == {"project.json", "pictures/coffee.jpg"}
