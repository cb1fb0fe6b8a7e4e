"""Pictures that the tests make for themselves."""

import os
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
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


@pytest.fixture(scope="session")
def scene_file() -> Callable[..., bytes]:
    """Write linear light: ``scene_file(".hdr", light)``, or ``(".exr", light, more_attributes)``."""

    def write(extension: str, light: NDArray[Any], attributes: bytes = b"") -> bytes:
        os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # OpenCV wants it for writing, too
        options = [cv2.IMWRITE_EXR_COMPRESSION, cv2.IMWRITE_EXR_COMPRESSION_NO] if extension == ".exr" else []
        data = cv2.imencode(extension, light, options)[1].tobytes()
        if not attributes:
            return data
        # They go first; the table of chunks, at the end of the header, has every offset moved.
        header_end = data.index(b"screenWindowWidth\0float\0") + 24 + 4 + 4 + 1
        count = len(light)
        offsets = [at + len(attributes) for at in struct.unpack_from(f"<{count}Q", data, header_end)]
        table = struct.pack(f"<{count}Q", *offsets)
        return data[:8] + attributes + data[8:header_end] + table + data[header_end + 8 * count :]

    return write


@pytest.fixture(scope="session")
def light(picture: Image.Image) -> NDArray[Any]:
    """Return the picture as linear light, BGR, with a lamp in it."""
    linear: NDArray[Any] = (np.asarray(picture)[..., ::-1] / 255).astype(np.float32) ** 2.2
    linear[4:8, 30:36] *= 300
    return linear
