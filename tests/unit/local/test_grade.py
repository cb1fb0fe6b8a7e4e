"""`python -m local.grade`, as a process of its own in an environment that names no service."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

import local.grade
from local.layers import ROOT
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.output import Output
from studio.tone_mapping.pipeline import Chooser, automatic, fixed, grade_image, load_proxy, matching
from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS
from studio.tone_mapping.read_adjustments import read_adjustments
from tests.waiting import SECONDS

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MONGO", "STUDIO_", "POWERTOOLS"))
}


def run(*arguments: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-m", "local.grade", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder: dark pictures in three formats, one of them deeper, and a file that is no picture."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    dark = Image.fromarray((skimage.data.coffee()[::2, ::2] * 0.4).astype(np.uint8))
    dark.save(folder / "a.jpg", quality=95)
    dark.save(folder / "b.PNG")
    dark.save(folder / "deeper" / "a.webp")
    (folder / "notes.txt").write_text("no picture")
    return folder


def is_graded(source: Path, target: Path, chooser: Chooser, output: Output | None = None) -> bool:
    return target.read_bytes() == grade_image(source.read_bytes(), chooser, output).data


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_scene_light_in_a_folder_is_graded_too(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    light = np.linspace(0, 20, 64 * 48 * 3, dtype=np.float32).reshape(48, 64, 3)
    (tmp_path / "scenes" / "sun.hdr").write_bytes(cv2.imencode(".hdr", light)[1].tobytes())
    assert run(tmp_path / "scenes", "--out", tmp_path / "out").returncode == 0
    assert is_graded(tmp_path / "scenes" / "sun.hdr", tmp_path / "out" / "sun.png", automatic(100))


def test_a_folder_is_graded_as_the_api_would(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(photos, "--auto", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert files_in(out) == {"a.jpg", "b.png", "deeper/a.webp"}
    for source, target in (("a.jpg", "a.jpg"), ("b.PNG", "b.png"), ("deeper/a.webp", "deeper/a.webp")):
        assert is_graded(photos / source, out / target, automatic(100))
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{photos / 'a.jpg'} → {out / 'a.jpg'}  exposure +")
    assert lines[0].endswith(" ms")


def test_what_macos_puts_beside_pictures_is_no_picture(photos: Path, tmp_path: Path) -> None:
    (photos / "deeper" / "._a.webp").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    done = run(photos, "--set", "exposure=1", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert files_in(tmp_path / "out") == {"a.jpg", "b.png", "deeper/a.webp"}


def test_a_broken_picture_is_told_and_the_others_go_on(photos: Path, tmp_path: Path) -> None:
    (photos / "a.jpg").write_bytes((photos / "a.jpg").read_bytes()[:3000])
    done = run(photos, photos / "missing.jpg", "--out", tmp_path / "out", "--jobs", 2)
    assert done.returncode == 1
    assert files_in(tmp_path / "out") == {"b.png", "deeper/a.webp"}
    assert len(done.stdout.splitlines()) == 2
    broken, missing, summary = done.stderr.splitlines()
    assert broken.startswith(f"{photos / 'a.jpg'}: ")
    assert "missing.jpg" in missing
    assert summary == "2 of 4 could not be graded"


def test_neither_aws_nor_a_database_is_loaded(photos: Path, tmp_path: Path) -> None:
    arguments = (photos / "a.jpg", "--auto", "--preset", "vivid", "--cube", tmp_path / "a.cube", "--out", tmp_path)
    done = run(*arguments, options=("-X", "importtime"))
    assert done.returncode == 0
    modules = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "cv2" in modules
    assert not modules & {"boto3", "botocore", "moto", "pymongo", "httpx", "starlette", "aws_lambda_powertools"}


def test_correction_preset_and_sliders_follow_each_other(photos: Path, tmp_path: Path) -> None:
    done = run(
        *(photos / "b.PNG", "--auto", "--preset", "builtin_matte", "--strength", 50, "--set", "exposure=0.5"),
        *("--set", "tone_curve.rgb=[[0,0.1],[1,1]]", "--set", "hsl.blue.hue=-20", "--out", tmp_path),
        *("--format", "jpeg", "--quality", 70, "--max-size", 100),
    )
    assert done.returncode == 0, done.stderr
    own = read_adjustments({"exposure": 0.5, "tone_curve": {"rgb": ((0, 0.1), (1, 1))}, "hsl": {"blue": {"hue": -20}}})
    chooser = automatic(100, BUILTIN_PRESETS["builtin_matte"].adjustments.scaled(50), own)
    output = Output(format="jpeg", quality=70, max_size=100)
    assert is_graded(photos / "b.PNG", tmp_path / "b.jpg", chooser, output)
    assert "exposure +0.5, tone_curve, hsl" in done.stdout


def test_depth_and_metadata_are_as_asked(photos: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a harbour"
    with Image.open(photos / "b.PNG") as picture:
        picture.save(photos / "b.PNG", exif=exif)
    run(photos / "b.PNG", "--bit-depth", 16, "--strip-metadata", "--out", tmp_path)
    assert is_graded(photos / "b.PNG", tmp_path / "b.png", automatic(100), Output(bit_depth=16, strip_metadata=True))
    assert b"harbour" not in (tmp_path / "b.png").read_bytes()


def test_without_a_preset_the_strength_is_the_corrections(photos: Path, tmp_path: Path) -> None:
    run(photos / "b.PNG", "--strength", 50, "--out", tmp_path)
    assert is_graded(photos / "b.PNG", tmp_path / "b.png", automatic(50))


def test_numbers_are_read_as_they_are_told(photos: Path, tmp_path: Path) -> None:
    done = run(photos / "b.PNG", "--set", "exposure=+.5", "--set", "tint=-07", "--out", tmp_path)
    assert "exposure +0.5, tint -7" in done.stdout
    assert is_graded(photos / "b.PNG", tmp_path / "b.png", fixed(Adjustments(exposure=0.5, tint=-7)))


def test_pictures_are_made_to_look_like_a_reference(photos: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(skimage.data.coffee()).save(reference)
    run(photos / "b.PNG", "--reference", reference, "--out", tmp_path / "out")
    chooser = matching(load_proxy(reference.read_bytes()), 100)
    assert is_graded(photos / "b.PNG", tmp_path / "out" / "b.png", chooser)


def test_a_written_cube_has_no_more_nodes_than_others_read(photos: Path, tmp_path: Path) -> None:
    cube = tmp_path / "strong.cube"
    assert run(photos, "--set", "exposure=4", "--cube", cube, "--out", tmp_path / "out").returncode == 0
    assert "LUT_3D_SIZE 65" in cube.read_text()


def test_a_written_cube_is_a_preset_that_does_the_same(photos: Path, tmp_path: Path) -> None:
    cube = tmp_path / "warm.cube"
    done = run(photos, "--set", "temperature=20", "--set", "clarity=10", "--cube", cube, "--out", tmp_path / "zero")
    assert done.returncode == 0
    assert "clarity" in done.stderr, "no .cube holds it"
    assert run(photos, "--set", "temperature=20", "--out", tmp_path / "one").returncode == 0
    assert run(photos, "--preset", cube, "--out", tmp_path / "two").returncode == 0
    one, two = (np.asarray(Image.open(tmp_path / folder / "b.png")).astype(int) for folder in ("one", "two"))
    assert np.abs(one - two).max() <= 1
    assert (one != np.asarray(Image.open(photos / "b.PNG"))).any()


def test_a_lightroom_preset_tells_what_it_leaves_out(photos: Path, tmp_path: Path) -> None:
    preset = tmp_path / "look.xmp"
    preset.write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:ProcessVersion="11.0" '
        'crs:Exposure2012="+0.50" crs:GrainAmount="20"/></rdf:RDF></x:xmpmeta>'
    )
    done = run(photos / "b.PNG", "--preset", preset, "--out", tmp_path)
    assert done.returncode == 0
    assert "GrainAmount" in done.stderr
    assert is_graded(photos / "b.PNG", tmp_path / "b.png", fixed(Adjustments(exposure=0.5)))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--preset", "nothing"], "looks are"),
        (["--preset", "missing.cube"], "missing.cube"),
        (["--set", "exposure=9"], "exposure: Input should be less than or equal to 5"),
        (["--set", "exposure"], "slider=value"),
        (["--set", "exposure=bright"], "got exposure=bright"),
        (["--set", "exposure=1", "--set", "exposure.a.b=2"], "slider=value"),
        (["--set", "brightness=1"], "there is no slider brightness; sliders are exposure, contrast, highlights"),
        (["--set", "exposure=9", "--set", "hsl.teal.hue=3"], "there is no slider hsl.teal; sliders are hsl.red, hsl."),
        (["--set", "hsl.blue.light=3"], "sliders are hsl.blue.hue, hsl.blue.saturation, hsl.blue.luminance"),
        (["--strength", "101"], "percent"),
        (["--strength", "50", "--set", "exposure=1"], "--strength is of a preset or of the correction"),
        (["--set", "temperature=5", "--set", "temperature_kelvin=5000"], "error: --set: temperature_kelvin and"),
        (["--quality", "0"], "quality"),
        (["--auto", "--cube", "a.cube"], "3 pictures"),
        (["--reference", "missing.jpg"], "missing.jpg"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    photos: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = run(photos, "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_originals_are_never_written_over(photos: Path) -> None:
    before = {name: (photos / name).read_bytes() for name in files_in(photos)}
    for arguments in ((photos, "--out", photos), (photos / "a.jpg", "--out", photos / "deeper" / "..")):
        assert run(*arguments).returncode == 2
    # A folder inside the folder is fine, and not taken for more pictures the next time.
    for _ in range(2):
        assert len(run(photos, "--out", photos / "graded").stdout.splitlines()) == 3
    assert {name: (photos / name).read_bytes() for name in before} == before


def test_originals_are_not_written_over_by_way_of_a_link(photos: Path, tmp_path: Path) -> None:
    before = (photos / "a.jpg").read_bytes()
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").symlink_to(photos / "a.jpg")
    assert run(tmp_path / "album" / "a.jpg", "--out", tmp_path / "album").returncode == 2
    assert (photos / "a.jpg").read_bytes() == before


def test_a_defect_of_ours_ends_one_picture_alone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_for_one(task: Any, *rest: Any) -> str:
        if task.source.name == "b.PNG":
            raise ZeroDivisionError("division by zero")
        return graded_one(task, *rest)

    graded_one = local.grade._grade_one
    monkeypatch.setattr(local.grade, "_grade_one", fail_for_one)
    assert local.grade.main([str(photos), "--out", str(tmp_path / "out")]) == 1
    assert files_in(tmp_path / "out") == {"a.jpg", "deeper/a.webp"}
    assert "b.PNG: ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_two_pictures_of_one_name_do_not_become_one(photos: Path, tmp_path: Path) -> None:
    Image.open(photos / "b.PNG").save(photos / "a.png")
    done = run(photos, "--format", "png", "--out", tmp_path / "out", "--jobs", 1)
    assert done.returncode == 1
    assert "already what became of" in done.stderr
    assert files_in(tmp_path / "out") == {"a.png", "b.png", "deeper/a.png"}


def test_a_terminal_sees_how_far_it_is(photos: Path, tmp_path: Path) -> None:
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "local.grade", str(photos), "--out", str(tmp_path / "out")]
    subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=its, check=True, timeout=SECONDS
    )
    os.close(its)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert "1/3" in shown
    assert "2/3" in shown
    assert shown.endswith("\r\033[K"), "the line is cleared in the end"
