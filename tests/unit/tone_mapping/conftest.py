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
def tiff_file() -> Callable[..., bytes]:
    """Write samples as they are in one strip: ``tiff_file(samples, photometric, {tag: (type, value, ...)})``.

    With ``tile=(width, height)``, write them in tiles instead.
    """

    def write(
        samples: NDArray[Any],
        photometric: int,
        more: dict[int, tuple[int, ...]] | None = None,
        tile: tuple[int, int] | None = None,
    ) -> bytes:
        height, width, channels = samples.shape
        bits = (3, *[8 * samples.itemsize] * channels)
        offset = 8 + 6 * 64
        tags = {256: (3, width), 257: (3, height), 258: bits, 259: (3, 1), 262: (3, photometric), 277: (3, channels)}
        if tile:
            across, down = -(-width // tile[0]), -(-height // tile[1])
            samples = np.pad(samples, ((0, down * tile[1] - height), (0, across * tile[0] - width), (0, 0)))
            samples = samples.reshape(down, tile[1], across, tile[0], channels).swapaxes(1, 2)
            size = samples[0, 0].nbytes
            offsets = range(offset, offset + samples.nbytes, size)
            tags |= {322: (3, tile[0]), 323: (3, tile[1]), 324: (4, *offsets), 325: (4, *[size] * len(offsets))}
        else:
            tags |= {273: (4, offset), 278: (3, height), 279: (4, samples.nbytes)}
        tags |= more or {}
        entries, values = [], b""
        for tag, (kind, *value) in sorted(tags.items()):
            packed = struct.pack(f"<{len(value)}{'HI'[kind == 4]}", *value)
            if len(packed) > 4:
                at = offset + samples.nbytes + len(values)
                packed, values = struct.pack("<I", at), values + packed
            entries.append(struct.pack("<HHI", tag, kind, len(value)) + packed.ljust(4, b"\0"))
        directory = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
        return directory.ljust(offset, b"\0") + samples.tobytes() + values

    return write


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
