from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from local.export import Folder
from studio.minimatics.models import Project

SMALL = {"width": 160, "height": 90}


def make_project(*shots: dict[str, Any], **others: Any) -> Project:
    """Make a small project; a shot without a picture is of coffee."""
    return Project.model_validate(
        {
            "size": SMALL,
            "shots": [{"image_key": "coffee.png", "duration_frames": 12} | shot for shot in shots],
            **others,
        }
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs and plain colours."""
    path = tmp_path_factory.mktemp("media")
    for name in ("coffee", "astronaut", "chelsea"):
        Image.fromarray(getattr(skimage.data, name)()[::2, ::2]).save(path / f"{name}.png")
    for name, colour in {"red": (255, 0, 0), "green": (0, 255, 0), "black": (0, 0, 0), "white": (255,) * 3}.items():
        Image.new("RGB", (64, 36), colour).save(path / f"{name}.png")
    return path


@pytest.fixture(scope="session")
def sources(folder: Path) -> Folder:
    return Folder(folder)
