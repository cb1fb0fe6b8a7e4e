"""Pictures that the tests make for themselves."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """48 x 32 RGB: smooth colours without symmetry, so that every turn and flip shows."""
    y, x = np.mgrid[:32, :48]
    rgb = np.stack([40 + 3 * x, 60 + 4 * y, 200 - 2 * x - y], axis=-1)
    return Image.fromarray(rgb.astype(np.uint8))


@pytest.fixture(scope="session")
def saved() -> Callable[..., bytes]:
    """Save a picture with Pillow: ``saved(image, "PNG", **options)``."""

    def save(image: Image.Image, kind: str, **options: Any) -> bytes:
        buffer = BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return save
