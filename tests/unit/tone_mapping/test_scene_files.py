import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.tone_mapping.scene_files import (
    XYZ,
    exr_ends_early,
    plain_radiance,
    radiance_ends_early,
    read_exr,
    read_radiance,
)

SceneFile = Callable[..., bytes]
Light = NDArray[Any]


def attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def test_header_of_an_exr(scene_file: SceneFile, light: Light) -> None:
    header = read_exr(scene_file(".exr", light))
    assert (header.width, header.height, header.orientation) == (48, 32, 1)
    assert header.channels == {"B": (1, 1), "G": (1, 1), "R": (1, 1)}
    assert header.primaries is None
    assert not header.is_deep


def test_primaries_of_an_exr(scene_file: SceneFile, light: Light) -> None:
    data = scene_file(".exr", light, attribute("chromaticities", "chromaticities", struct.pack("<8f", *XYZ)))
    assert read_exr(data).primaries == pytest.approx(XYZ)
    assert not exr_ends_early(data)


def test_an_exr_that_ends_early(scene_file: SceneFile, light: Light) -> None:
    data = scene_file(".exr", light)
    assert not exr_ends_early(data)
    assert all(exr_ends_early(data[:end]) for end in (len(data) - 1, len(data) - 600, len(data) // 2))


@pytest.mark.parametrize(
    ("scan", "orientation", "size"),
    [
        ("-Y 3 +X 5", 1, (5, 3)),
        ("-Y 3 -X 5", 2, (5, 3)),
        ("+Y 3 -X 5", 3, (5, 3)),
        ("+Y 3 +X 5", 4, (5, 3)),
        ("+X 5 -Y 3", 5, (3, 5)),
        ("-X 5 -Y 3", 6, (3, 5)),
        ("-X 5 +Y 3", 7, (3, 5)),
        ("+X 5 +Y 3", 8, (3, 5)),
    ],
)
def test_header_of_a_radiance_picture(scan: str, orientation: int, size: tuple[int, int]) -> None:
    data = f"#?RADIANCE\n# by hand\nEXPOSURE=2\nFORMAT=32-bit_rle_rgbe\n\n{scan}\n".encode() + bytes(60)
    header = read_radiance(data)
    assert (header.width, header.height, header.orientation) == (*size, orientation)
    assert data[header.body :] == bytes(60)
    assert plain_radiance(data).endswith(f"\n\n-Y {size[1]} +X {size[0]}\n".encode() + bytes(60))


def test_colours_of_a_radiance_picture_may_be_xyz() -> None:
    assert read_radiance(b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n....").primaries == XYZ


@pytest.mark.parametrize(
    "data",
    [
        b"#?RADIANCE\n",
        b"#?RADIANCE\n\n",
        b"#?RADIANCE\nFORMAT=other\n\n-Y 1 +X 1\n",
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +Y 1\n",
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 0 +X 1\n",
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999999999 +X 1\n",
        b"#?RADIANCE\n" + b"x" * 70_000 + b"\n\n-Y 1 +X 1\n",
    ],
)
def test_what_is_no_radiance_header(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no |not found"):
        read_radiance(data)


@pytest.mark.parametrize("width", [5, 48])  # flat, and run-length encoded
def test_a_radiance_picture_that_ends_early(scene_file: SceneFile, width: int) -> None:
    light = np.random.default_rng(0).random((20, width, 3), dtype=np.float32)
    light[5:10] = 0.5
    data = scene_file(".hdr", light)
    assert not radiance_ends_early(data)
    assert all(radiance_ends_early(data[:end]) for end in range(len(data) - 60, len(data)))
