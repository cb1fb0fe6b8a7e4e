"""What containers read of a user's, out of the embedded S3."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from local.stack import Stack
from studio import storage
from studio.caller import Caller
from studio.minimatics.export import sources
from studio.minimatics.export.sources import DiskError, StoredSources
from studio.minimatics.film import check_shots
from studio.minimatics.models import Project
from tests.integration.conftest import Configure, aws_of

CALLER = Caller(user_id="usr_0123456789abcdef01234567", key_id="key_1", scopes=frozenset({"export"}))
KEYS = [f"users/usr_0123456789abcdef01234567/uploads/upl_{number:024x}" for number in range(5)]
PICTURE = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8))[1].tobytes()


@pytest.fixture(autouse=True)
def pictures(configure: Configure, stack: Stack) -> Iterator[None]:
    configure(BUCKET_NAME=stack.bucket_name, **aws_of(stack))
    storage._connect.cache_clear()
    for key in KEYS:
        storage.write(key, PICTURE, "image/png", tags={})
    yield
    storage._connect.cache_clear()


def test_pictures_are_kept_as_long_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_KEPT_MAX_BYTES", 2 * len(PICTURE))
    stored = StoredSources(CALLER, tmp_path)
    for _ in range(3):
        assert [stored.image(key) for key in KEYS] == [PICTURE] * 5
        assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_no_fault_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.model_validate({"shots": [{"image_key": KEYS[0], "duration_frames": 24}]})
    assert check_shots(project, [0], StoredSources(CALLER, tmp_path)) == []

    def fill(*_: Any) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "download", fill)
    (tmp_path / "other").mkdir()
    with pytest.raises(DiskError, match="No space left"):
        check_shots(project, [0], StoredSources(CALLER, tmp_path / "other"))
