import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from studio.tone_mapping.decode import decode
from studio.tone_mapping.errors import InvalidImageError
from studio.tone_mapping.metadata import (
    add_to_jpeg,
    add_to_tiff,
    own_exif,
    tiff_directory,
    upright_exif,
)
from studio.tone_mapping.probe import probe
from tests.memory import peak_bytes

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


@pytest.mark.parametrize(
    "broken",
    [
        None,
        b"",
        b"nonsense",
        b"MM*\0" + exif_block()[4:],
        b"II" + exif_block()[2:],
        b"MM\0*\xff\xff\xff\xff",
        exif_block()[:20],
    ],
)
def test_broken_exif_is_left_out(broken: bytes | None) -> None:
    assert upright_exif(broken) is None


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


def exif_of(directories: dict[int, list[tuple[int, int, bytes]]], order: str = "<") -> bytes:
    """EXIF of a maker and of directories, each of (tag, type, value)."""

    def directory(entries: list[tuple[int, int, bytes]], at: int) -> bytes:
        sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
        packed, values = struct.pack(order + "H", len(entries)), b""
        for tag, kind, value in entries:
            packed += struct.pack(order + "HHI", tag, kind, len(value) // sizes[kind])
            if len(value) > 4:
                packed += struct.pack(order + "I", at + 2 + 12 * len(entries) + 4 + len(values))
                values += value
            else:
                packed += value.ljust(4, b"\0")
        return packed + bytes(4) + values

    blocks, pointers = b"", []
    for tag, entries in directories.items():
        pointers.append((tag, 4, struct.pack(order + "I", 8 + len(blocks))))
        blocks += directory(entries, 8 + len(blocks))
    main = directory([(0x010F, 2, b"Abc\0"), *pointers], 8 + len(blocks))
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(blocks)) + blocks + main


def directories_in(tiff: bytes) -> dict[int, dict[int, tuple[int, Any]]]:
    """What a TIFF has of EXIF and GPS: types and values."""
    main, found = tiff_directory(tiff), {}
    for tag in (0x8769, 0x8825):
        if tag in main:
            directory = tiff_directory(tiff, main[tag])
            found[tag] = {key: (directory.tagtype[key], directory[key]) for key in directory}
    return found


TIFF = cv2.imencode(".tiff", NOISE)[1].tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_values_in_a_tiff_keep_their_types(order: str) -> None:
    exif = exif_of(
        {
            0x8769: [
                (0x829A, 5, struct.pack(order + "II", 1, 125)),
                (0x8827, 3, struct.pack(order + "H", 200)),
                (0x9201, 10, struct.pack(order + "ii", -7, 3)),
                (0x9286, 7, b"ASCII\0\0\0hello"),
                (0x9214, 3, struct.pack(order + "4H", 1, 2, 3, 4)),
                (0xA005, 4, struct.pack(order + "I", 8)),
            ],
            0x8825: [(0, 1, b"\2\3\0\0"), (1, 2, b"N\0"), (2, 5, struct.pack(order + "6I", 48, 1, 51, 1, 59, 2))],
        },
        order,
    )
    tiff = add_to_tiff(TIFF, exif, None, has_alpha=False)
    written = directories_in(tiff)
    assert written == {
        0x8769: {
            0x829A: (5, 1 / 125),
            0x8827: (3, 200),
            0x9201: (10, IFDRational(-7, 3)),
            0x9286: (7, b"ASCII\0\0\0hello"),
            0x9214: (3, (1, 2, 3, 4)),
        },
        0x8825: {0: (1, b"\2\3\0\0"), 1: (2, "N"), 2: (5, (48, 51, 29.5))},
    }
    assert directories_in(own_exif(tiff) or b"") == written  # a TIFF that came is copied alike
    assert probe(tiff).exif == own_exif(tiff)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 7, 9, 10])
def test_a_tag_of_the_wrong_type_does_not_spoil_a_tiff(kind: int) -> None:
    value = struct.pack("<6I", 48, 1, 51, 1, 0xFFFFFFFF, 0)
    gps = [(tag, kind, value) for tag in (0, 1, 2, 5, 7, 29)]
    tiff = add_to_tiff(TIFF, exif_of({0x8825: gps}), None, has_alpha=False)
    image = Image.open(BytesIO(tiff))
    assert (np.asarray(image)[..., ::-1] == NOISE).all()
    assert image.getexif()[0x010F] == "Abc"
    assert probe(tiff).width == NOISE.shape[1]


@pytest.mark.parametrize("pointer", [0, 5, 2**31, 2**32 - 1])
def test_a_directory_that_is_nowhere_is_left_out_and_the_other_kept(pointer: int) -> None:
    exif = exif_of({0x8825: [(1, 2, b"N\0")], 0x8769: [(0x8827, 3, struct.pack("<H", 200))]})
    at = exif.index(struct.pack("<HHI", 0x8769, 4, 1)) + 8
    damaged = exif[:at] + struct.pack("<I", pointer) + exif[at + 4 :]
    tiff = add_to_tiff(TIFF, damaged, None, has_alpha=False)
    assert directories_in(tiff)[0x8825] == {1: (2, "N")}
    assert (np.asarray(Image.open(BytesIO(tiff)))[..., ::-1] == NOISE).all()
    assert probe(tiff).width == NOISE.shape[1]
    assert add_to_tiff(TIFF, exif[:8], None, has_alpha=False)


def test_a_damaged_directory_of_exif_does_not_spoil_the_tiff_that_has_it() -> None:
    tiff = bytearray(add_to_tiff(TIFF, exif_of({0x8825: [(2, 5, bytes(24))]}), None, has_alpha=False))
    main = tiff_directory(bytes(tiff))
    struct.pack_into("<HI", tiff, main[0x8825] + 4, 5, 2**31)
    header = probe(bytes(tiff))
    assert (header.width, header.height) == (NOISE.shape[1], NOISE.shape[0])
    assert b"Abc" in (header.exif or b"")


@pytest.mark.parametrize("text", ["Jürgen", "Möwe über 東京", "plain"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be"])
def test_text_in_a_tiff_keeps_its_bytes(text: str, encoding: str) -> None:
    stored = text.encode(encoding) + b"\0"
    exif = exif_of({0x8769: [(0xA434, 2, stored), (0x9003, 2, stored)], 0x8825: [(29, 2, stored)]})
    exif = exif.replace(b"Abc\0", b"Ab\xfc\0")
    tiff = add_to_tiff(TIFF, exif, None, has_alpha=False)
    assert tiff.count(stored) == 3
    assert tiff_directory(tiff)[0x010F] == "Ab\xfc"
    kept = own_exif(tiff) or b""
    assert kept.count(stored) == 3
    assert tiff_directory(kept)[0x010F] == "Ab\xfc"
    assert {kind for kind, _ in directories_in(kept)[0x8769].values()} == {2}


@pytest.mark.parametrize("order", ["<", ">"])
def test_values_over_each_other_take_no_memory(order: str) -> None:
    size = 50_000
    exif = exif_of({0x8769: [(0x9000 + n, 7, b"12345") for n in range(500)], 0x8825: [(1, 2, b"N\0")]}, order)
    head = bytearray(exif + bytes(size))
    for n in range(500):
        struct.pack_into(order + "II", head, 8 + 2 + 12 * n + 4, size, 8)
    written: list[bytes] = []
    assert peak_bytes(lambda: written.append(add_to_tiff(TIFF, bytes(head), None, has_alpha=False))) < 2_000_000
    assert directories_in(written[0]) == {0x8825: {1: (2, "N")}}
    first = bytes(head[:4]) + struct.pack(order + "I", 8) + bytes(head[8:])
    assert peak_bytes(lambda: own_exif(first)) < 2_000_000
    with pytest.raises(InvalidImageError):
        probe(first)


def overlapping_directory(data: bytes, order: str = "<") -> bytes:
    """A directory of 500 values, each of which is all of the data."""
    entries = b"".join(struct.pack(order + "HHII", 0x9000 + n, 7, len(data), 0) for n in range(500))
    return struct.pack(order + "H", 500) + entries + bytes(4)


def test_what_pillow_would_read_over_and_over_is_not_read(picture: Image.Image, saved: Saved) -> None:
    # Of a JPEG without a resolution, for which Pillow asks EXIF.
    exif = b"II*\0\x08\0\0\0" + overlapping_directory(bytes(50_000)) + bytes(50_000)
    jpeg = saved(picture, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    assert peak_bytes(lambda: probe(jpeg[:2] + segment + jpeg[2:])) < 2_000_000
    # Of a TIFF's second page.
    tiff = saved(picture, "TIFF") + bytes(50_000)
    directory = struct.unpack_from("<I", tiff, 4)[0]
    end = directory + 2 + 12 * struct.unpack_from("<H", tiff, directory)[0]
    two = tiff[:end] + struct.pack("<I", len(tiff)) + tiff[end + 4 :] + overlapping_directory(tiff)

    def refuse() -> None:
        with pytest.raises(InvalidImageError):
            probe(two)

    assert peak_bytes(refuse) < 2_000_000
    # Of the EXIF of one that Pillow decodes.
    place = 0x01020304
    rgba = saved(picture.convert("RGBA"), "TIFF", tiffinfo={0x8769: place}) + bytes(50_000)
    rgba = rgba.replace(struct.pack("<I", place), struct.pack("<I", len(rgba))) + overlapping_directory(rgba)
    assert peak_bytes(lambda: decode(rgba, probe(rgba))) < 2_000_000
