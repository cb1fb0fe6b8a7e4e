"""What the images of Batch jobs are made of, and how that names them."""

import io
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from local.images import Image, list_images
from local.layers import ROOT

RUN_TASK = Image(Path("statemachines/run_task/container"))


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A copy of an image's sources, beside other files."""
    for path in RUN_TASK.files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / "README.md").write_text("read me")
    return Image(RUN_TASK.folder, tmp_path)


def again(image: Image) -> Image:
    return Image(image.folder, image.root)


@pytest.mark.parametrize("number", [0, 1, -1])
def test_the_tag_changes_with_every_file_of_the_image(image: Image, number: int) -> None:
    before = image.tag
    path = image.root / image.files[number]
    path.write_text(path.read_text() + "\n")
    assert again(image).tag != before


def test_the_tag_changes_with_a_file_that_is_added_moved_or_removed(image: Image) -> None:
    tags = [image.tag]
    package = image.root / "layers/studio/python/studio"
    (package / "new.py").write_text("pass\n")
    tags.append(again(image).tag)
    (package / "new.py").rename(package / "newer.py")
    tags.append(again(image).tag)
    assert len(set(tags)) == 3
    (package / "newer.py").unlink()
    assert again(image).tag == tags[0]


def test_the_tag_stays_where_other_files_change(image: Image) -> None:
    before = image.tag
    (image.root / "README.md").write_text("read me again")
    (image.root / "functions").mkdir()
    (image.root / "functions/app.py").write_text("pass\n")
    (image.root / "layers/studio/Makefile").write_text("all:\n")
    cache = image.root / "layers/studio/python/studio/__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "http.cpython-311.pyc").write_bytes(b"compiled")
    (image.root / image.files[0]).touch()
    (image.root / image.files[0]).chmod(0o600)
    assert again(image).tag == before


def test_the_tag_is_the_same_wherever_the_repository_is(image: Image) -> None:
    assert image.tag == RUN_TASK.tag
    assert image.archive() == RUN_TASK.archive()


def test_the_archive_holds_what_anyone_may_read(image: Image) -> None:
    (image.root / image.dockerfile).chmod(0o600)
    with zipfile.ZipFile(io.BytesIO(image.archive())) as archive:
        assert archive.namelist() == [path.as_posix() for path in image.files]
        assert {stat.S_IMODE(entry.external_attr >> 16) for entry in archive.infolist()} == {0o644}
        assert archive.read("statemachines/run_task/container/Dockerfile") == (ROOT / RUN_TASK.dockerfile).read_bytes()


@pytest.mark.parametrize("line", ["COPY --chmod=755 README.md /", "COPY README.md \\", "COPY README.md"])
def test_what_the_tag_would_not_follow_is_refused(image: Image, line: str) -> None:
    (image.root / image.dockerfile).write_text(f"FROM scratch\n{line}\n")
    with pytest.raises(ValueError, match="not understood"):
        _ = image.tag


def test_a_file_that_is_not_there_is_named(image: Image) -> None:
    (image.root / image.dockerfile).write_text("FROM scratch\nCOPY nothing /\n")
    with pytest.raises(FileNotFoundError, match="nothing"):
        _ = image.tag


def test_every_dockerfile_is_an_image() -> None:
    assert {image.dockerfile for image in list_images()} == {
        path.relative_to(ROOT) for path in ROOT.glob("statemachines/*/container/Dockerfile")
    }
    assert RUN_TASK in list_images()


def test_names_in_the_template_follow_the_folder() -> None:
    image = Image(Path("statemachines/minimatics_export/container"))
    assert (image.tag_parameter, image.repository_output) == (
        "MinimaticsExportImageTag",
        "MinimaticsExportRepositoryUri",
    )
