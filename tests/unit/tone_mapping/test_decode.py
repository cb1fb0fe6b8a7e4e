import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from studio.tone_mapping.decode import Photo, decode, reduction
from studio.tone_mapping.errors import ImageError, InvalidImageError, UnsupportedImageError
from studio.tone_mapping.metadata import add_to_tiff
from studio.tone_mapping.probe import Limits, check_limits, probe
from studio.tone_mapping.profiles import cicp_profile, grey_profile
from tests.memory import peak_bytes

Saved = Callable[..., bytes]


def decoded(data: bytes) -> Photo:
    return decode(data, probe(data))


def reduced(data: bytes, min_side: int) -> Photo:
    return decode(data, probe(data), min_side)


def bgr(image: Image.Image) -> NDArray[Any]:
    return np.asarray(image.convert("RGB"))[..., ::-1]


def difference(one: NDArray[Any], other: NDArray[Any]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *[("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        *[("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
    ],
)
def test_lossless_modes_come_out_as_pillow_reads_them(picture: Image.Image, saved: Saved, kind: str, mode: str) -> None:
    image = picture.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    expected = Image.open(BytesIO(data))

    photo = decoded(data)

    assert photo.pixels.dtype == np.uint8
    assert difference(photo.pixels, bgr(expected)) == 0
    if mode in ("LA", "RGBA"):
        assert photo.alpha is not None
        assert difference(photo.alpha, np.asarray(expected.convert("RGBA"))[..., 3]) == 0
    else:
        assert photo.alpha is None


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "WEBP"])
def test_lossy_formats(picture: Image.Image, saved: Saved, kind: str) -> None:
    photo = decoded(saved(picture, kind, quality=95))
    assert difference(photo.pixels, bgr(picture)) <= 12
    assert photo.alpha is None


def test_grey_jpeg_becomes_three_equal_channels(picture: Image.Image, saved: Saved) -> None:
    photo = decoded(saved(picture.convert("L"), "JPEG", quality=95))
    assert photo.pixels.shape == (32, 48, 3)
    assert (photo.pixels == photo.pixels[..., :1]).all()


@pytest.mark.parametrize(
    ("mode", "transparency"), [("P", 3), ("P", bytes([0, 128, 255])), ("L", 100), ("RGB", (40, 60, 200))]
)
def test_transparent_colours_of_a_png_become_alpha(
    picture: Image.Image, saved: Saved, mode: str, transparency: object
) -> None:
    data = saved(picture.convert(mode), "PNG", transparency=transparency)
    expected = np.asarray(Image.open(BytesIO(data)).convert("RGBA"))

    photo = decoded(data)

    assert photo.alpha is not None
    assert difference(photo.alpha, expected[..., 3]) == 0
    assert difference(photo.pixels, expected[..., 2::-1]) == 0


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_kept(extension: str, channels: int) -> None:
    shape = (20, 30) if channels == 1 else (20, 30, channels)
    stored = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)

    photo = decoded(cv2.imencode(extension, stored)[1].tobytes())

    assert photo.pixels.dtype == np.uint16
    colours = stored[..., :3] if channels > 1 else np.dstack([stored] * 3)
    assert (photo.pixels == colours).all()
    if channels == 4:
        assert photo.alpha is not None
        assert (photo.alpha == stored[..., 3]).all()


@pytest.mark.parametrize("depth", [10, 12])
def test_avif_of_more_than_8_bits_fills_16(depth: int) -> None:
    stored = np.full((16, 16, 3), 2**depth - 1, np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100]

    photo = decoded(cv2.imencode(".avif", stored, options)[1].tobytes())

    assert photo.pixels.dtype == np.uint16
    assert photo.pixels.min() > 65000


COLOURS = ((30, 60, 230), (230, 220, 40), (200, 90, 160), (128, 128, 128), (40, 150, 60))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize(
    ("matrix", "red", "blue"), [(1, 0.2126, 0.0722), (9, 0.2627, 0.0593), (6, 0.299, 0.114), (2, 0.299, 0.114)]
)
def test_an_avif_of_video_has_the_colours_of_its_matrix(
    saved: Saved, matrix: int, red: float, blue: float, mode: str, subsampling: str
) -> None:
    for colour in COLOURS:
        patch = Image.new(mode, (32, 32), (*colour, 128)[: len(mode)])
        data = saved(patch, "AVIF", quality=100, range="limited", subsampling=subsampling)
        at = data.index(b"nclx") + 8  # BT.601's
        data = data[:at] + struct.pack(">H", matrix) + data[at + 2 :]
        luma = np.dot(colour, (0.299, 0.587, 0.114))
        difference_red, difference_blue = (colour[0] - luma) / 1.402, (colour[2] - luma) / 1.772
        wanted_red, wanted_blue = luma + 2 * (1 - red) * difference_red, luma + 2 * (1 - blue) * difference_blue
        wanted_green = (luma - red * wanted_red - blue * wanted_blue) / (1 - red - blue)
        wanted = np.clip([wanted_blue, wanted_green, wanted_red], 0, 255)

        assert np.abs(decoded(data).pixels - wanted).max() < 3.5


@pytest.mark.parametrize("full", ["full", "limited"])
def test_grey_of_an_avif_of_video_reaches_black_and_white(saved: Saved, full: str) -> None:
    tones = Image.linear_gradient("L").convert("RGB")
    data = saved(tones, "AVIF", quality=100, range=full, subsampling="4:0:0")
    assert probe(data).mode == "L"

    assert difference(decoded(data).pixels, bgr(tones)) <= 2


@pytest.mark.parametrize("told", [8, 10, 12])
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_grey_of_video_whose_bits_are_told_wrongly_is_decoded(depth: int, told: int) -> None:
    """As where another picture's properties come first in the file."""
    tones = np.linspace(0, 2**depth - 1, 64 * 64).reshape(64, 64).astype("u2" if depth > 8 else "u1")
    data = cv2.imencode(".avif", tones, [cv2.IMWRITE_AVIF_DEPTH, depth])[1].tobytes()
    at = data.index(b"nclx") + 10  # full range
    data = data[:at] + b"\0" + data[at + 1 :]
    header = probe(data)
    assert (header.mode, header.bit_depth, header.video_matrix) == ("L", depth, 2)
    assert decode(data, header._replace(bit_depth=told)).pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), *[(kind, mode) for kind in ("PNG", "WEBP", "AVIF", "TIFF") for mode in ("RGB", "RGBA")]],
)
def test_orientation_is_applied_once(
    picture: Image.Image, saved: Saved, kind: str, orientation: int, mode: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    big = picture.convert(mode).resize((96, 64))
    upright = ImageOps.exif_transpose(Image.open(BytesIO(saved(big, "PNG", exif=exif))))
    assert upright is not None

    photo = decoded(saved(big, kind, exif=exif.tobytes(), **({} if kind in ("PNG", "TIFF") else {"quality": 95})))

    assert photo.pixels.shape[:2] == (upright.height, upright.width)
    assert photo.pixels.shape[:2] == photo.header.displayed_size[::-1]
    assert np.abs(photo.pixels.astype(int) - bgr(upright)).mean() < 4


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(("min_side", "divisor"), [(800, 1), (401, 1), (400, 2), (201, 2), (200, 4), (100, 8), (10, 8)])
def test_a_jpeg_comes_smaller_where_that_is_enough(
    picture: Image.Image, saved: Saved, orientation: int, mode: str, min_side: int, divisor: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(picture.convert(mode).resize((801, 530)), "JPEG", exif=exif.tobytes(), quality=95)

    full, small = decoded(data).pixels, reduced(data, min_side).pixels

    height, width = full.shape[:2]
    assert reduction(probe(data), min_side) == divisor
    assert small.shape == (-(-height // divisor), -(-width // divisor), 3)
    averaged = cv2.resize(full, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(float) - averaged).mean() < 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_come_as_they_are(picture: Image.Image, saved: Saved, kind: str) -> None:
    data = saved(picture, kind)
    assert (reduced(data, 5).pixels == decoded(data).pixels).all()


def test_a_cmyk_jpeg_comes_as_it_is(picture: Image.Image, saved: Saved) -> None:
    data = saved(picture.convert("CMYK"), "JPEG")
    assert reduced(data, 5).pixels.shape == (32, 48, 3)


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("mode", ["L", "P", "LA", "1", "CMYK"])
def test_orientation_of_tiffs_in_other_modes(picture: Image.Image, saved: Saved, mode: str, orientation: int) -> None:
    photo = decoded(saved(picture.convert(mode), "TIFF", tiffinfo={0x0112: orientation}))
    turn = Image.Transpose.ROTATE_180 if orientation == 3 else Image.Transpose.ROTATE_270
    assert difference(photo.pixels, bgr(picture.convert(mode).transpose(turn))) <= 1


def test_orientation_of_a_16_bit_tiff() -> None:
    stored = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    tiff = bytearray(cv2.imencode(".tiff", stored, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes())
    # ResolutionUnit, or else the last short tag of the directory, becomes Orientation: OpenCV writes none.
    (at,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, at)
    entries = [bytes(tiff[at + 2 + 12 * n : at + 14 + 12 * n]) for n in range(count)]
    entries = sorted([*entries, struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)], key=lambda e: struct.unpack("<H", e[:2]))
    while len(tiff) % 2:
        tiff.append(0)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    data = bytes(tiff[:4]) + struct.pack("<I", len(tiff)) + bytes(tiff[8:]) + directory

    photo = decoded(data)

    assert (photo.pixels == cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE)).all()


def test_white_is_zero_in_a_16_bit_tiff(tiff_file: Saved) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (20, 30, 1), dtype=np.uint16)
    for photometric, shown in ((0, 65535 - grey), (1, grey)):
        assert (decoded(tiff_file(grey, photometric)).pixels == shown).all()


def test_premultiplied_colours_of_a_16_bit_tiff_become_straight(tiff_file: Saved) -> None:
    random = np.random.default_rng(0)
    straight = random.integers(0, 65536, (600, 30, 3), dtype=np.uint16)
    alpha = random.integers(2000, 65536, (600, 30, 1), dtype=np.uint16)
    multiplied = np.rint(straight * (alpha / 65535)).astype(np.uint16)
    alpha[0], multiplied[0] = 0, 0
    multiplied[1], alpha[1] = 65535, 300  # as nothing should be

    data = np.dstack([multiplied, alpha])
    photo, plain = (decoded(tiff_file(data, 2, {338: (3, kind)})) for kind in (1, 2))

    for one in (photo, plain):
        assert one.alpha is not None
        assert (one.alpha == alpha[..., 0]).all()
    assert (plain.pixels[..., ::-1] == multiplied).all()
    assert difference(photo.pixels[2:, :, ::-1], straight[2:]) <= 17  # half a step of 65535 / 2000
    assert photo.pixels[0].max() == 0
    assert photo.pixels[1].min() == 65535


@pytest.mark.parametrize(("kind", "extras"), [(np.uint8, 1), (np.uint8, 2), (np.uint8, 3), (np.uint16, 1)])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_samples_of_a_tiff_that_it_does_not_call_alpha_are_none(
    tiff_file: Saved, kind: type, extras: int, tile: tuple[int, int] | None
) -> None:
    stored = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (20, 30, 3 + extras), kind)
    photo = decoded(tiff_file(stored, 2, {338: (3, *[0] * extras)}, tile))
    assert photo.alpha is None
    assert (photo.pixels == stored[..., 2::-1]).all()


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_tiffs_of_few_bits(tiff_file: Saved, bits: int) -> None:
    packed = np.random.default_rng(0).integers(0, 256, (20, 30, 1), dtype=np.uint8)
    shifts = np.arange(8 - bits, -1, -bits)
    grey = ((packed >> shifts) & (2**bits - 1)).reshape(20, -1) * (255 // (2**bits - 1))
    photo = decoded(tiff_file(packed, 1, {256: (3, grey.shape[1]), 258: (3, bits)}))
    assert difference(photo.pixels[..., 0], grey) == 0


def test_cmyk_jpeg_with_and_without_adobe_marker(picture: Image.Image, saved: Saved) -> None:
    cmyk = picture.convert("CMYK")
    with_marker = saved(cmyk, "JPEG", quality=95)
    at = with_marker.index(b"\xff\xee")
    length = int.from_bytes(with_marker[at + 2 : at + 4], "big")
    # Without the marker the same stored values are not inverted: they mean the negative.
    without = with_marker[:at] + with_marker[at + 2 + length :]
    inverted = Image.fromarray(255 - np.asarray(cmyk), "CMYK")

    assert difference(decoded(with_marker).pixels, bgr(cmyk)) <= 12
    assert difference(decoded(without).pixels, bgr(inverted)) <= 12


def test_a_tiff_in_lab_has_no_alpha(picture: Image.Image, saved: Saved) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    photo = decoded(saved(ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB"), "TIFF"))
    assert photo.alpha is None
    assert photo.header.icc_profile is None
    assert np.abs(photo.pixels.astype(int) - bgr(picture)).mean() < 2  # 8 bits of Lab are coarse


def test_grey_profile_is_converted_and_dropped(picture: Image.Image, saved: Saved) -> None:
    profile = b"\0" * 16 + b"GRAY" + b"\0" * 200
    with pytest.raises(InvalidImageError, match="profile"):
        decoded(saved(picture.convert("L"), "PNG", icc_profile=profile))


def linear_grey_profile() -> bytes:
    profile = bytearray(grey_profile())
    curve = profile.index(b"para")
    struct.pack_into(">H2xi", profile, curve + 8, 0, 65536)
    return bytes(profile)


@pytest.mark.parametrize("tile", [(16, 16), (16, 48), (48, 16), (48, 48), (16, 64), (64, 64)])
@pytest.mark.parametrize("photometric", [0, 1, 2])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiles_of_any_size(tiff_file: Saved, tile: tuple[int, int], photometric: int, kind: type) -> None:
    shape = (50, 100, 3 if photometric == 2 else 1)
    samples: NDArray[Any] = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    photo = decoded(tiff_file(samples, photometric, tile=tile))
    shown = ~samples if photometric == 0 else samples
    assert photo.pixels.dtype == kind
    assert (photo.pixels[..., ::-1] == shown).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("tile", [(16, 16), (64, 64)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiles_are_turned_upright(tiff_file: Saved, orientation: int, tile: tuple[int, int], kind: type) -> None:
    samples: NDArray[Any] = np.random.default_rng(0).integers(0, 256, (50, 100, 3)).astype(kind)
    turned, plain = (decoded(tiff_file(samples, 2, {274: (3, orientation)}, where)).pixels for where in (tile, None))
    assert np.array_equal(turned, plain)


@pytest.mark.parametrize(
    "more",
    [
        {324: (4, 392, 392), 325: (4, 768, 768)},  # two of 28
        {322: (4, 2**32 - 1)},
        {322: (4, 1)},
    ],
)
def test_tiles_that_make_no_picture_are_refused(tiff_file: Saved, more: dict[int, tuple[int, ...]]) -> None:
    with pytest.raises(InvalidImageError) as caught:
        decoded(tiff_file(np.ones((50, 100, 3), np.uint8), 2, more, tile=(16, 16)))
    assert caught.value.code == "IMAGE_CORRUPT"


@pytest.mark.parametrize("side", [16, None])
@pytest.mark.parametrize(
    ("kind", "channels", "planes"),
    [(np.uint8, 3, True), (np.uint8, 4, True), (np.uint8, 3, False), (np.uint16, 3, False)],
)
def test_tiffs_that_lack_a_strip_or_a_tile_are_refused(
    tiff_file: Saved, side: int | None, kind: type, channels: int, planes: bool
) -> None:
    samples: NDArray[Any] = np.random.default_rng(0).integers(0, 256, (32, 48, channels)).astype(kind)
    # One plane below the other, as one picture has them, is how they lie in the file.
    stored = np.concatenate(np.moveaxis(samples, 2, 0))[..., None] if planes else samples
    size = stored[:16, : side or 48].nbytes
    offsets = range(392, 392 + stored.nbytes, size)

    def write(*offsets: int) -> bytes:
        places, sizes = (324, 325) if side else (273, 279)
        tags = {
            257: (3, 32),
            258: (3, *[8 * samples.itemsize] * channels),
            277: (3, channels),
            278: (3, 16),
            284: (3, 2 if planes else 1),
            places: (4, *offsets),
            sizes: (4, *[size] * len(offsets)),
        }
        return tiff_file(stored, 2 if channels == 3 else 5, tags, (side, 16) if side else None)

    whole = decoded(write(*offsets))
    assert channels == 4 or (whole.pixels[..., ::-1] == samples).all()
    for lacking in (offsets[:-1], [*offsets[:-1], 0], offsets[: len(offsets) // channels]):
        with pytest.raises(InvalidImageError) as caught:
            decoded(write(*lacking))
        assert caught.value.code == "IMAGE_CORRUPT"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["PNG", "PNG with alpha", "TIFF"])
def test_grey_of_any_depth_gets_the_tones_that_its_profile_says(
    saved: Saved, tiff_file: Saved, bits: int, kind: str
) -> None:
    most = 2**bits - 1
    ramp = np.linspace(0, most, 4096).astype(np.uint8 if bits == 8 else np.uint16).reshape(32, 128)
    if kind == "TIFF":
        profile = linear_grey_profile()
        data = tiff_file(ramp[..., None], 1, {34675: (3, *struct.unpack(f"<{len(profile) // 2}H", profile))})
        data = data.replace(
            struct.pack("<HHI", 34675, 3, len(profile) // 2), struct.pack("<HHI", 34675, 7, len(profile))
        )
    else:
        channels = [ramp, ramp[::-1]] if "alpha" in kind else [ramp]
        data = grey_png(channels, bits, icc=linear_grey_profile())
    assert probe(data).icc_profile == linear_grey_profile()

    photo = decoded(data)

    light = ramp / most
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * most
    assert photo.header.icc_profile is None
    assert np.abs(photo.pixels - expected[..., None]).max() <= 1
    assert (photo.alpha is not None) == ("alpha" in kind)
    if photo.alpha is not None:
        assert (photo.alpha == ramp[::-1]).all()


def test_a_big_endian_grey_tiff_is_read_as_the_other(saved: Saved) -> None:
    ramp = np.linspace(0, 65535, 4096).reshape(32, 128)
    little, big = (
        saved(Image.fromarray(ramp.astype(kind)), "TIFF", icc_profile=linear_grey_profile()) for kind in ("<u2", ">u2")
    )
    assert (little[:2], big[:2]) == (b"II", b"MM")
    assert (decoded(little).pixels == decoded(big).pixels).all()
    white_is_zero = big.replace(struct.pack(">HHIH", 262, 3, 1, 1), struct.pack(">HHIH", 262, 3, 1, 0))
    assert white_is_zero != big
    with pytest.raises(UnsupportedImageError, match="samples of a kind that is not read here"):
        probe(white_is_zero)


def grey_png(channels: Sequence[NDArray[Any]], bits: int, icc: bytes = b"", transparent: int | None = None) -> bytes:
    """A PNG of grey, or grey and alpha, of 1 to 16 bits."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width = channels[0].shape
    samples = np.stack(channels, axis=-1).reshape(height, -1)
    rows: NDArray[Any]
    if bits == 16:
        rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = samples
    else:
        rows = np.packbits((samples[..., None] >> np.arange(bits - 1, -1, -1) & 1).reshape(height, -1), axis=1)
    packed = b"".join(b"\0" + row.tobytes() for row in rows.astype(np.uint8))
    head = struct.pack(">IIBBBBB", width, height, bits, 4 if len(channels) == 2 else 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"iCCP", b"x\0\0" + zlib.compress(icc)) if icc else b"")
        + (b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent)))
        + chunk(b"IDAT", zlib.compress(packed))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("icc", [b"", grey_profile()])
def test_the_transparent_grey_of_a_png_becomes_alpha(bits: int, icc: bytes) -> None:
    most = 2**bits - 1
    grey = np.random.default_rng(0).integers(0, min(most, 50), (20, 30), endpoint=True)
    photo = decoded(grey_png([grey], bits, icc, transparent=1))
    full = 65535 if bits == 16 else 255
    assert photo.alpha is not None
    assert (photo.alpha == np.where(grey == 1, 0, full)).all()
    assert difference(photo.pixels, np.dstack([grey * (full // most)] * 3)) <= 1


def test_transparent_grey_takes_no_more_than_the_picture_with_alpha() -> None:
    data = grey_png([np.zeros((2000, 2000), np.uint8)], 8, transparent=1)
    assert peak_bytes(lambda: decoded(data)) < 9 * 2000 * 2000


def test_rgb_profile_is_kept(picture: Image.Image, saved: Saved) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = decoded(saved(picture, "PNG", icc_profile=profile))
    assert photo.header.icc_profile == profile
    assert difference(photo.pixels, bgr(picture)) == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 16])
def test_light_gets_the_curve_of_a_display_and_keeps_its_colours(kind: str, bits: int) -> None:
    wide = cicp_profile(9, 13)
    assert wide is not None
    srgb, linear = (struct.pack(">4s4xHxxi", b"para", *curve) for curve in ((3, round(2.4 * 65536)), (0, 65536)))
    profile = wide.replace(srgb, linear)
    most = 2**bits - 1
    light = np.random.default_rng(0).random((32, 48, 4))
    stored = np.rint(light * most).astype(f"u{bits // 8}")
    blocks = [np.frombuffer(profile, np.uint8)]
    data = cv2.imencodeWithMetadata(f".{kind.lower()}", stored, [cv2.IMAGE_METADATA_ICCP], blocks)[1].tobytes()
    if kind == "TIFF":  # OpenCV writes no profile there
        data = add_to_tiff(data, None, profile, None, has_alpha=True)
    assert probe(data).icc_profile == profile

    photo = decoded(data)

    shown = stored[..., :3] / most
    expected = np.where(shown <= 0.0031308, shown * 12.92, 1.055 * shown ** (1 / 2.4) - 0.055) * most
    assert photo.header.icc_profile == wide
    assert np.abs(photo.pixels - expected).max() <= 1
    assert photo.alpha is not None
    assert (photo.alpha == stored[..., 3]).all()


def test_a_profile_of_rgb_does_not_spoil_grey(picture: Image.Image, saved: Saved) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = decoded(saved(picture.convert("L"), "PNG", transparency=100, icc_profile=profile))
    assert photo.header.icc_profile == profile
    assert difference(photo.pixels, bgr(picture.convert("L"))) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(saved: Saved, kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    data = saved(noise, kind)

    cut = data[: int(len(data) * share)]

    for read in (decoded, lambda cut: reduced(cut, 30)):
        with pytest.raises(InvalidImageError) as caught:
            read(cut)
        assert caught.value.code == "IMAGE_TRUNCATED"


def test_a_jpeg_cut_before_its_picture_is_truncated(picture: Image.Image, saved: Saved) -> None:
    exif = Image.Exif()
    exif[0x010E] = "\xff\xda" + "a thumbnail" * 1000 + "\xff\xd9"
    data = saved(picture, "JPEG", exif=exif)
    for end in (len(data) // 2, data.rindex(b"\xff\xda") + 1):
        with pytest.raises(InvalidImageError) as caught:
            decoded(data[:end])
        assert caught.value.code == "IMAGE_TRUNCATED"


def test_alpha_of_an_avif_that_is_named_as_in_hevc_is_kept(picture: Image.Image, saved: Saved) -> None:
    faint = picture.convert("RGBA")
    faint.putalpha(128)
    data = saved(faint, "AVIF")
    name = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
    other = data.replace(name, b"urn:mpeg:hevc:2015:auxid:1".ljust(len(name), b"\0"))
    assert other != data
    photo = decoded(other)
    assert photo.alpha is not None
    assert (photo.alpha == decoded(data).alpha).all()


def test_a_full_disk_makes_no_picture_up(saved: Saved) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    data = saved(noise, "JPEG")
    most, hardest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(data) // 2, hardest))
    try:
        with pytest.raises(OSError, match="File too large"):
            decoded(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hardest))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_truncated_compressed_tiffs_are_refused(saved: Saved, compression: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    data = saved(noise, "TIFF", compression=compression)
    with pytest.raises(InvalidImageError):
        decoded(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_corrupt_files_are_refused(saved: Saved, kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    data = bytearray(saved(noise, kind))
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)

    with pytest.raises(InvalidImageError) as caught:
        decoded(bytes(data))

    assert caught.value.code == "IMAGE_CORRUPT"


def test_a_png_without_its_palette_is_corrupt(picture: Image.Image, saved: Saved) -> None:
    png = saved(picture.convert("P"), "PNG")
    start, end = png.index(b"PLTE") - 4, png.index(b"IDAT") - 4
    with pytest.raises(InvalidImageError) as caught:
        decoded(png[:start] + png[end:])
    assert caught.value.code == "IMAGE_CORRUPT"


@pytest.mark.parametrize("trailer", [b"trailer" * 100, b"a motion photo's video \xff\xda and more of it"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_bytes_behind_its_end_is_fine(
    picture: Image.Image, saved: Saved, trailer: bytes, progressive: bool
) -> None:
    data = saved(picture, "JPEG", progressive=progressive)
    assert (decoded(data + trailer).pixels == decoded(data).pixels).all()
    with pytest.raises(InvalidImageError, match="ends before"):
        decoded(data[:-2])


@pytest.mark.parametrize("extension", [".exr", ".hdr"])
def test_scene_light_becomes_16_bits(scene_file: Saved, light: NDArray[Any], extension: str) -> None:
    photo = decoded(scene_file(extension, light))
    assert photo.pixels.dtype == np.uint16
    assert photo.pixels.shape == (32, 48, 3)
    assert photo.alpha is None
    assert 60 < photo.pixels.mean() / 257 < 160
    assert photo.pixels[6, 33].max() > 60_000  # the lamp
    linear = light[20:, :20]
    assert np.corrcoef(photo.pixels[20:, :20].ravel(), (linear**0.45).ravel())[0, 1] > 0.95


def test_grey_light_of_an_exr(scene_file: Saved, light: NDArray[Any]) -> None:
    photo = decoded(scene_file(".exr", light[..., 1]))
    assert photo.pixels.shape == (32, 48, 3)
    assert np.ptp(photo.pixels.astype(int), axis=2).max() <= 1


def test_alpha_of_an_exr_becomes_straight(scene_file: Saved, light: NDArray[Any]) -> None:
    alpha = np.tile(np.linspace(0, 1, 48, dtype=np.float32), (32, 1))
    photo = decoded(scene_file(".exr", np.dstack([light * alpha[..., None], alpha])))
    assert photo.alpha is not None
    assert np.abs(photo.alpha / 65535 - alpha).max() < 1e-4
    plain = decoded(scene_file(".exr", light)).pixels
    assert np.abs(photo.pixels[:, 4:].astype(int) - plain[:, 4:]).mean() < 12 * 257


@pytest.mark.parametrize("alpha", [0, 1])
def test_alpha_of_an_exr_that_says_nothing_is_dropped(scene_file: Saved, light: NDArray[Any], alpha: int) -> None:
    photo = decoded(scene_file(".exr", np.dstack([light, np.full((32, 48), alpha, np.float32)])))
    assert photo.alpha is None
    assert not photo.header.has_alpha
    assert (photo.pixels == decoded(scene_file(".exr", light)).pixels).all()


@pytest.mark.parametrize(
    ("scan", "stored"),
    [
        (b"-Y 32 -X 48", lambda image: image[:, ::-1]),
        (b"+Y 32 -X 48", lambda image: image[::-1, ::-1]),
        (b"+Y 32 +X 48", lambda image: image[::-1]),
        (b"+X 48 -Y 32", lambda image: image.transpose(1, 0, 2)),
        (b"-X 48 -Y 32", lambda image: image[:, ::-1].transpose(1, 0, 2)),
        (b"-X 48 +Y 32", lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
        (b"+X 48 +Y 32", lambda image: image[::-1].transpose(1, 0, 2)),
    ],
)
def test_radiance_pictures_are_upright(
    scene_file: Saved, light: NDArray[Any], scan: bytes, stored: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    turned = np.ascontiguousarray(stored(light))
    plain = f"-Y {turned.shape[0]} +X {turned.shape[1]}".encode()
    photo = decoded(scene_file(".hdr", turned).replace(plain, scan))
    assert photo.pixels.shape == (32, 48, 3)
    assert photo.header.displayed_size == (48, 32)
    assert np.abs(photo.pixels.astype(int) - decoded(scene_file(".hdr", light)).pixels).mean() < 4 * 257


def test_colours_of_an_exr_in_xyz_are_converted(scene_file: Saved, light: NDArray[Any]) -> None:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = (light[..., ::-1] @ to_xyz.T)[..., ::-1].astype(np.float32)
    value = struct.pack("<8f", 1, 0, 0, 1, 0, 0, 1 / 3, 1 / 3)
    attribute = b"chromaticities\0chromaticities\0" + struct.pack("<I", 32) + value
    photo = decoded(scene_file(".exr", xyz, attribute))
    assert np.abs(photo.pixels.astype(int) - decoded(scene_file(".exr", light)).pixels).mean() < 257


def exr_of_chroma(light: NDArray[Any], shares: tuple[float, ...], step: int, attributes: bytes) -> bytes:
    """Write BGR light as luminance and, of every `step`th pixel, chroma (ImfRgbaYca.h of OpenEXR)."""

    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<I", len(value)) + value

    luminance = light @ np.array(shares[::-1], np.float32)
    planes = [
        ("BY", step, (light[..., 0] / luminance - 1)[::step, ::step]),
        ("RY", step, (light[..., 2] / luminance - 1)[::step, ::step]),
        ("Y", 1, luminance),
    ]
    height, width = luminance.shape
    channels = b"".join(name.encode() + b"\0" + struct.pack("<4i", 2, 0, every, every) for name, every, _ in planes)
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = b"\x76\x2f\x31\x01\2\0\0\0" + attributes
    header += attribute(b"channels", b"chlist", channels + b"\0") + attribute(b"compression", b"compression", b"\0")
    header += attribute(b"dataWindow", b"box2i", window) + attribute(b"displayWindow", b"box2i", window)
    header += attribute(b"lineOrder", b"lineOrder", b"\0")
    header += attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1))
    header += attribute(b"screenWindowCenter", b"v2f", bytes(8))
    header += attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)) + b"\0"
    rows = []
    for y in range(height):
        row = b"".join(plane[y // every].astype("<f4").tobytes() for _, every, plane in planes if y % every == 0)
        rows.append(struct.pack("<ii", y, len(row)) + row)
    starts = np.cumsum([len(header) + 8 * height, *map(len, rows[:-1])])
    return header + struct.pack(f"<{height}Q", *starts) + b"".join(rows)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize(
    ("primaries", "shares"),
    [
        (None, (0.2126, 0.7152, 0.0722)),
        ((0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.3290), (0.2627, 0.6780, 0.0593)),  # Rec. 2020
    ],
)
def test_exrs_of_luminance_and_chroma_are_read_as_those_of_colours(
    scene_file: Saved, light: NDArray[Any], step: int, primaries: tuple[float, ...] | None, shares: tuple[float, ...]
) -> None:
    blocks = np.repeat(np.repeat(light[::2, ::2] + np.float32(0.01), 2, axis=0), 2, axis=1)
    attribute = b""
    if primaries:
        attribute = b"chromaticities\0chromaticities\0" + struct.pack("<I8f", 32, *primaries)
    photo = decoded(exr_of_chroma(blocks, shares, step, attribute))
    expected = decoded(scene_file(".exr", blocks, attribute))
    assert np.abs(photo.pixels.astype(int) - expected.pixels).max() < 257


@pytest.mark.parametrize("extension", [".exr", ".hdr"])
def test_cut_and_damaged_scene_light(scene_file: Saved, light: NDArray[Any], extension: str) -> None:
    data = scene_file(extension, light)
    for end in range(400, len(data), max(1, (len(data) - 400) // 40)):
        with pytest.raises(InvalidImageError) as caught:
            decoded(data[:end])
        assert caught.value.code == "IMAGE_TRUNCATED"
    random = np.random.default_rng(0)
    for _ in range(100):
        broken = bytearray(data)
        for at in random.integers(4, 400, 3):
            broken[at] = random.integers(0, 256)
        with suppress(ImageError):
            header = probe(bytes(broken))
            check_limits(header, Limits(max_pixels=1_000_000))
            decode(bytes(broken), header)


def test_an_exr_is_read_with_nothing_said_in_the_environment(
    scene_file: Saved, light: NDArray[Any], tmp_path: Path
) -> None:
    path = tmp_path / "picture.exr"
    path.write_bytes(scene_file(".exr", light))
    code = (
        "import sys; from pathlib import Path; from studio.tone_mapping.decode import decode; "
        "from studio.tone_mapping.probe import probe; data = Path(sys.argv[1]).read_bytes(); "
        "print(decode(data, probe(data)).pixels.shape)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENCV_IO_ENABLE_OPENEXR"}
    answer = subprocess.run([sys.executable, "-c", code, path], env=environment, capture_output=True, check=True)
    assert answer.stdout.strip() == b"(32, 48, 3)"


@pytest.mark.parametrize("value", [struct.pack("<HIf", 11, 1, 8.0), struct.pack("<HI4s", 2, 4, b"abc")])
def test_a_tiff_whose_offsets_are_no_integers_is_corrupt(picture: Image.Image, saved: Saved, value: bytes) -> None:
    data = bytearray(saved(picture.convert("1"), "TIFF"))
    at = data.index(struct.pack("<H", 273), int.from_bytes(data[4:8], "little"))
    data[at + 2 : at + 12] = value  # the strip's offset, a float or text
    with pytest.raises(InvalidImageError) as caught:
        decode(bytes(data), probe(bytes(data)))
    assert caught.value.code in ("IMAGE_CORRUPT", "IMAGE_TRUNCATED")
