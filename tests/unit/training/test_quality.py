import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from training import quality

PHOTOGRAPH: NDArray[np.uint8] = np.ascontiguousarray(skimage.data.astronaut()[::2, ::2, ::-1])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    originals, retouched = tmp_path / "originals", tmp_path / "retouched"
    originals.mkdir()
    retouched.mkdir()
    return originals, retouched


def write(file: Path, pixels: NDArray[np.uint8]) -> None:
    assert cv2.imwrite(str(file), pixels)


def test_pairs_are_measured_against_the_picture_of_the_same_name(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    originals, retouched = folders
    write(originals / "dark.png", PHOTOGRAPH // 2)
    write(originals / "good.png", PHOTOGRAPH)
    for name in ("dark.png", "good.png", "of_no_original.png"):
        write(retouched / name, PHOTOGRAPH)
    monkeypatch.setattr(sys, "argv", ["quality.py", str(originals), "--against", str(retouched)])
    quality.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("2 photographs")
    columns = next(line.split() for line in printed if "leave" in line)
    (row,) = (line.split() for line in printed if line.startswith("pairs"))
    mean = dict(zip(columns, map(float, row[1:]), strict=False))
    assert mean["leave"] == pytest.approx(_error(PHOTOGRAPH // 2, PHOTOGRAPH) / 2, abs=0.01)
    assert mean["ours"] < 0.5 * mean["leave"]


def _error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    (errors,) = quality.judge([("pairs", one, other)], {"leave": lambda bgr: bgr})["pairs"]["leave"]
    return errors


def test_a_retouch_of_another_size_or_type_is_the_same_picture(folders: tuple[Path, Path]) -> None:
    originals, retouched = folders
    write(originals / "one.jpg", PHOTOGRAPH)
    write(retouched / "one.png", cv2.resize(PHOTOGRAPH, (360, 361)).astype(np.uint8))
    ((row, given, truth),) = quality.paired([originals / "one.jpg"], retouched)
    assert row == "pairs"
    assert given.shape == truth.shape
    assert _error(given, truth) < 2


@pytest.mark.parametrize("names", [(), ("one.jpg", "one.png"), ("one.jpeg2",)])
def test_an_original_without_just_one_retouch_is_named(folders: tuple[Path, Path], names: tuple[str, ...]) -> None:
    originals, retouched = folders
    for name in names:
        (retouched / name).write_bytes(cv2.imencode(".png", PHOTOGRAPH)[1].tobytes())
    with pytest.raises(ValueError, match=r"one\.png"):
        list(quality.paired([originals / "one.png"], retouched))


def test_a_cropped_retouch_is_not_measured(folders: tuple[Path, Path]) -> None:
    originals, retouched = folders
    write(originals / "one.png", PHOTOGRAPH)
    write(retouched / "one.png", PHOTOGRAPH[:, :-20])
    with pytest.raises(ValueError, match="256 x 256, its pair 236 x 256"):
        list(quality.paired([originals / "one.png"], retouched))


def test_percentile_stretch_fills_the_range_and_keeps_neutrals() -> None:
    grey = np.repeat(np.tile(np.linspace(60, 180, 101), (10, 1))[..., None], 3, axis=2).astype(np.uint8)
    stretched = quality.stretch(grey)
    assert (stretched.min(), stretched.max()) == (0, 255)
    assert (stretched == stretched[..., :1]).all()
    assert abs(int(stretched[0, 50, 0]) - 127) < 4


def test_imagemagick_is_found_behind_a_script_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = quality.find_magick()
    if program is None:
        pytest.skip("ImageMagick is not installed")
    script = tmp_path / Path(program).name
    script.write_text("#!/bin/sh\necho ImageMagick\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), str(Path(program).parent))))
    assert quality.find_magick() == program


@pytest.mark.parametrize("folder", ["originals", "nowhere"])
def test_a_folder_without_pictures_is_told(
    folders: tuple[Path, Path], folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quality.py", str(folders[0].with_name(folder))])
    with pytest.raises(SystemExit, match="2"):
        quality.main()
    assert f"there are no pictures (.png, .jpg, .jpeg) in {folders[0].with_name(folder)}" in capsys.readouterr().err


def test_in_grey_nothing_judged_has_colour(folders: tuple[Path, Path]) -> None:
    originals, _ = folders
    write(originals / "one.png", PHOTOGRAPH)
    trials = list(quality.degraded([originals / "one.png"], grey=True))
    assert [row for row, _, _ in trials] == ["under", "over", "flat", "good"]
    for _, given, truth in trials:
        assert (given == given[..., :1]).all()
        np.testing.assert_array_equal(truth, quality.in_grey(PHOTOGRAPH))


def test_grey_has_no_pairs(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quality.py", str(folders[0]), "--grey", "--against", str(folders[1])])
    with pytest.raises(SystemExit, match="2"):
        quality.main()
    assert "--grey has no pairs" in capsys.readouterr().err
