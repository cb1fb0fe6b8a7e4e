import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from studio.tone_mapping.metadata import add_to_jpeg, add_to_tiff, upright_exif, usable_profile

Saved = Callable[..., bytes]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NOISE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)


def exif_block(order: str = ">", orientation: int = 6, next_directory: int = 0x2A) -> bytes:
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    maker = struct.pack(order + "HHI4s", 0x010F, 2, 4, b"Abc\0")
    magic = b"MM\0*" if order == ">" else b"II*\0"
    body = struct.pack(order + "IH", 8, 2) + maker + entry + struct.pack(order + "I", next_directory)
    return magic + body + b"thumbnail"


@pytest.mark.parametrize("order", [">", "<"])
def test_upright_exif_patches_two_values_and_nothing_else(order: str) -> None:
    before, after = exif_block(order), upright_exif(exif_block(order))
    assert after == exif_block(order, orientation=1, next_directory=0)
    assert len(after or b"") == len(before)


@pytest.mark.parametrize("broken", [None, b"", b"nonsense", b"MM\0*\xff\xff\xff\xff", exif_block()[:20]])
def test_broken_exif_is_left_out(broken: bytes | None) -> None:
    assert upright_exif(broken) is None


def test_usable_profiles_are_whole_and_for_rgb() -> None:
    assert usable_profile(PROFILE) == PROFILE
    assert usable_profile(PROFILE + b"padding") == PROFILE
    assert usable_profile(PROFILE[:-10]) is None
    assert usable_profile(PROFILE[:16] + b"GRAY" + PROFILE[20:]) is None
    assert usable_profile(b"nonsense" * 40) is None
    assert usable_profile(None) is None


@pytest.mark.parametrize("size", [200, 65_519, 65_520, 200_000])
def test_profiles_of_any_size_go_into_jpegs(size: int) -> None:
    jpeg = cv2.imencode(".jpg", NOISE)[1].tobytes()
    profile = bytes(range(256)) * (size // 256) + bytes(size % 256)
    image = Image.open(BytesIO(add_to_jpeg(jpeg, exif_block(orientation=1), profile)))
    assert image.info["icc_profile"] == profile
    assert image.getexif()[0x010F] == "Abc"
    assert (np.asarray(image)[..., ::-1] == cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)).all()


def test_exif_that_no_segment_holds_is_left_out() -> None:
    jpeg = cv2.imencode(".jpg", NOISE)[1].tobytes()
    assert add_to_jpeg(jpeg, b"MM" + bytes(70_000), None) == jpeg


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiffs_keep_their_pixels_and_get_the_rest(dtype: type, channels: int) -> None:
    pixels: Any = np.random.default_rng(0).integers(0, 255, (20, 31, channels)).astype(dtype)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    block = exif.tobytes().removeprefix(b"Exif\0\0")

    tiff = add_to_tiff(cv2.imencode(".tiff", pixels)[1].tobytes(), block, PROFILE, has_alpha=channels == 4)

    image = Image.open(BytesIO(tiff))
    assert image.info["icc_profile"] == PROFILE
    assert image.getexif()[0x010F] == "Maker"
    assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
    assert image.getexif().get_ifd(0x8825)[1] == "N"
    if channels == 4:
        assert image.tag_v2[338] == (2,)  # type: ignore[attr-defined]
    if dtype is np.uint8:
        assert (np.asarray(image)[..., 2::-1] == pixels[..., :3]).all()
    else:
        read: Any = cv2.imdecode(np.frombuffer(tiff, np.uint8), cv2.IMREAD_UNCHANGED)
        assert (read == pixels).all()
