import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from studio.tone_mapping.errors import ImageError, ImageTooLargeError, InvalidImageError, UnsupportedImageError
from studio.tone_mapping.formats import InputFormat
from studio.tone_mapping.probe import ImageHeader, Limits, check_limits, probe
from tests.memory import peak_bytes
from tests.speed import assert_quick

Saved = Callable[..., bytes]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png_of(width: int, height: int, bit_depth: int = 8) -> bytes:
    """A PNG whose header promises this size, with next to nothing behind it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, bit_depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_header_of_every_format(picture: Image.Image, saved: Saved, kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6

    header = probe(saved(picture, kind, exif=exif.tobytes(), icc_profile=PROFILE))

    assert (header.format, header.width, header.height) == (kind.lower(), 48, 32)
    assert (header.mode, header.bit_depth, header.has_alpha, header.frames) == ("RGB", 8, False, 1)
    assert header.orientation == 6
    assert header.displayed_size == (32, 48)
    assert header.icc_profile == PROFILE
    if kind != "AVIF":  # there it comes with the pixels
        assert header.exif is not None
        assert header.exif[:2] in (b"II", b"MM")
        assert b"Maker" in header.exif


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("AVIF", "RGBA"), ("TIFF", "RGBA")]
)
def test_alpha_is_seen(picture: Image.Image, saved: Saved, kind: str, mode: str) -> None:
    image = picture.convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(picture.size))
    assert probe(saved(image, kind)).has_alpha


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 4)])
def test_sixteen_bits_are_seen(extension: str, shape: tuple[int, ...]) -> None:
    assert probe(cv2.imencode(extension, np.zeros(shape, np.uint16))[1].tobytes()).bit_depth == 16


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_depth_of_avif(depth: int) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8 if depth == 8 else np.uint16)
    header = probe(cv2.imencode(".avif", pixels, [cv2.IMWRITE_AVIF_DEPTH, depth])[1].tobytes())
    assert header.bit_depth == depth


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    return png[:33] + struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) + png[33:]


def told(image: Image.Image, kind: str, primaries: int, transfer: int) -> bytes:
    """Return a PNG or an AVIF whose colours are told by CICP."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    data = buffer.getvalue()
    if kind == "PNG":
        return with_chunk(data, b"cICP", bytes([primaries, transfer, 0, 1]))
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize(
    ("primaries", "transfer", "primaries_xy"),
    [
        (12, 13, (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
        (9, 13, (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)),
        (9, 14, (0.708, 0.292, 0.17, 0.797, 0.131, 0.046)),
        (5, 6, (0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
        (6, 6, (0.63, 0.34, 0.31, 0.595, 0.155, 0.07)),
        (1, 4, (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)),
    ],
)
def test_colours_told_by_cicp_become_a_profile(
    picture: Image.Image, kind: str, primaries: int, transfer: int, primaries_xy: tuple[float, ...]
) -> None:
    def to_xyz(x_y: tuple[float, ...]) -> NDArray[Any]:
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(x_y[::2], x_y[1::2], strict=True)]).T
        white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
        scaled: NDArray[Any] = columns * np.linalg.solve(columns, white)
        return scaled

    profile = probe(told(picture, kind, primaries, transfer)).icc_profile
    assert profile is not None
    colours = np.array([[[255, 255, 255], [128, 128, 128], [170, 120, 100], [90, 110, 130], [20, 20, 20]]], np.uint8)
    seen: Any = ImageCms.profileToProfile(
        Image.fromarray(colours),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )

    stored = colours / 255
    light = (
        stored**2.2 if transfer == 4 else np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    )
    light = light @ np.linalg.solve(to_xyz((0.64, 0.33, 0.3, 0.6, 0.15, 0.06)), to_xyz(primaries_xy)).T
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(np.asarray(seen) - expected).max() < 1.5


@pytest.mark.parametrize(
    ("primaries", "pixel", "srgb"),
    [
        ((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), (144, 255, 60), (0, 255, 0)),  # Adobe RGB
        ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), (233, 54, 40), (255, 0, 0)),  # Display P3
        ((0.708, 0.292, 0.17, 0.797, 0.131, 0.046), (206, 76, 39), (255, 0, 0)),  # BT.2020
    ],
)
def test_wide_primaries_told_by_chrm_become_a_profile(
    picture: Image.Image, saved: Saved, primaries: tuple[float, ...], pixel: tuple[int, ...], srgb: tuple[int, ...]
) -> None:
    chunk = struct.pack(">8I", *(round(value * 100_000) for value in (0.3127, 0.329, *primaries)))
    without_gamma = with_chunk(saved(picture, "PNG"), b"cHRM", chunk)
    assert probe(without_gamma).icc_profile is None, "what its values mean is not told"
    png = with_chunk(without_gamma, b"gAMA", struct.pack(">I", 45455))
    profile = probe(png).icc_profile
    assert profile is not None
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    seen: Any = ImageCms.profileToProfile(Image.new("RGB", (1, 1), pixel), embedded, ImageCms.createProfile("sRGB"))
    assert np.abs(np.subtract(seen.getpixel((0, 0)), srgb)).max() <= 5
    assert probe(with_chunk(png, b"sRGB", b"\0")).icc_profile is None


@pytest.mark.parametrize(("gamma", "srgb"), [(45455, 121), (55556, 139)])
def test_wide_primaries_come_with_the_gamma_that_is_told(
    picture: Image.Image, saved: Saved, gamma: int, srgb: int
) -> None:
    """By hand: 120 of 255 to the power of 2.2 or 1.8, encoded as sRGB."""
    adobe = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    png = with_chunk(with_chunk(saved(picture, "PNG"), b"cHRM", adobe), b"gAMA", struct.pack(">I", gamma))
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(probe(png).icc_profile or b""))
    grey = Image.new("RGB", (1, 1), (120, 120, 120))
    seen: Any = ImageCms.profileToProfile(grey, embedded, ImageCms.createProfile("sRGB"))
    assert np.abs(np.subtract(seen.getpixel((0, 0)), srgb)).max() <= 1


@pytest.mark.parametrize("has_primaries", [False, True])
def test_a_gamma_that_is_not_near_srgb_becomes_a_profile(
    picture: Image.Image, saved: Saved, has_primaries: bool
) -> None:
    """By hand, as above."""
    png = saved(picture, "PNG")
    if has_primaries:
        values = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
        png = with_chunk(png, b"cHRM", struct.pack(">8I", *values))
        assert probe(png).icc_profile is None
    for usual_or_wrong in (45455, 45000, 1, 0):
        assert probe(with_chunk(png, b"gAMA", struct.pack(">I", usual_or_wrong))).icc_profile is None
    profile = probe(with_chunk(png, b"gAMA", struct.pack(">I", 55556))).icc_profile
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
    for colour, shown in (((120, 120, 120), (139, 139, 139)), ((255, 0, 0), (255, 0, 0))):
        pixel = Image.new("RGB", (1, 1), colour)
        seen: Any = ImageCms.profileToProfile(pixel, embedded, ImageCms.createProfile("sRGB"))
        assert np.abs(np.subtract(seen.getpixel((0, 0)), shown)).max() <= 1


@pytest.mark.parametrize(
    ("colour_space", "index", "is_adobe"), [(0xFFFF, "R03", True), (1, "R03", False), (1, "R98", False)]
)
def test_adobe_rgb_that_a_camera_tells_by_exif_alone_becomes_a_profile(
    picture: Image.Image, saved: Saved, colour_space: int, index: str, is_adobe: bool
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: colour_space, 0xA005: {1: index}})

    profile = probe(saved(picture, "JPEG", exif=exif)).icc_profile

    assert (profile is not None) == is_adobe
    assert probe(saved(picture, "JPEG", exif=exif, icc_profile=PROFILE)).icc_profile == PROFILE
    if profile is not None:
        green = Image.new("RGB", (1, 1), (144, 255, 60))  # sRGB's, as Adobe RGB has it (1998, annex C)
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        seen: Any = ImageCms.profileToProfile(green, embedded, ImageCms.createProfile("sRGB"))
        assert np.abs(np.subtract(seen.getpixel((0, 0)), (0, 255, 0))).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (1, 1), (2, 2), (0, 0)])
def test_cicp_that_says_srgb_or_nothing_needs_no_profile(
    picture: Image.Image, kind: str, primaries: int, transfer: int
) -> None:
    assert probe(told(picture, kind, primaries, transfer)).icc_profile is None


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (12, 16), (2, 16), (1, 8), (10, 13), (255, 255)])
def test_cicp_that_no_profile_can_say_is_named(picture: Image.Image, kind: str, primaries: int, transfer: int) -> None:
    with pytest.raises(UnsupportedImageError, match=f"primaries {primaries} and transfer {transfer}") as caught:
        probe(told(picture, kind, primaries, transfer))
    assert "Accepted are sRGB, Display P3" in caught.value.message


def test_a_profile_goes_before_cicp_in_an_avif_and_behind_it_in_a_png(picture: Image.Image, saved: Saved) -> None:
    avif, png = (saved(picture, kind, icc_profile=PROFILE) for kind in ("AVIF", "PNG"))
    box_of_p3 = box(b"colr", b"nclx" + struct.pack(">HHHB", 12, 13, 6, 128))
    assert b"nclx" in avif
    assert (
        probe(avif.replace(box(b"colr", b"nclx" + struct.pack(">HHHB", 1, 13, 6, 128)), box_of_p3)).icc_profile
        == PROFILE
    )
    found = probe(with_chunk(png, b"cICP", bytes([12, 13, 0, 1]))).icc_profile
    assert found not in (None, PROFILE)
    assert probe(with_chunk(png, b"cICP", bytes([2, 2, 0, 1]))).icc_profile == PROFILE
    assert probe(with_chunk(png, b"cICP", bytes([1, 13, 0, 1]))).icc_profile is None


def test_a_png_of_narrow_range_is_refused(picture: Image.Image, saved: Saved) -> None:
    for matrix, full in ((0, 0), (1, 1)):
        with pytest.raises(UnsupportedImageError, match="full range"):
            probe(with_chunk(saved(picture, "PNG"), b"cICP", bytes([1, 13, matrix, full])))


def test_a_png_of_linear_light_is_refused(picture: Image.Image, saved: Saved) -> None:
    linear, usual, old = (struct.pack(">I", value) for value in (100_000, 45_455, 55_556))
    png = saved(picture, "PNG")
    with pytest.raises(UnsupportedImageError, match="linear light, by its gAMA"):
        probe(with_chunk(png, b"gAMA", linear))
    assert probe(with_chunk(png, b"gAMA", usual)).icc_profile is None
    assert probe(with_chunk(png, b"gAMA", old)).icc_profile is not None
    # What goes before gAMA:
    assert probe(with_chunk(with_chunk(png, b"gAMA", linear), b"sRGB", b"\0")).icc_profile is None
    assert probe(with_chunk(saved(picture, "PNG", icc_profile=PROFILE), b"gAMA", linear)).icc_profile == PROFILE
    assert probe(with_chunk(with_chunk(png, b"gAMA", linear), b"cICP", bytes([12, 13, 0, 1]))).icc_profile


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_turns_and_mirrors_are_told_as_orientation(picture: Image.Image, saved: Saved, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation  # Pillow writes it as irot and imir
    assert probe(saved(picture, "AVIF", exif=exif)).orientation == orientation


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"this is no picture, whatever its name says: photo.jpg" * 20, "not a picture"),
        (b"", "empty"),
        (b"GIF89a" + bytes(100), "GIF"),
        (b"BM" + bytes(100), "BMP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(100), "RAW"),
        (b"II+\0\x08\0\0\0" + bytes(100), "BigTIFF"),
        (b"MM\0+\0\x08\0\0" + bytes(100), "BigTIFF"),
    ],
)
def test_other_formats_are_named_with_what_is_accepted(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedImageError) as caught:
        probe(data)
    assert caught.value.code == "UNSUPPORTED_FORMAT"
    assert named in caught.value.message
    assert "JPEG, PNG, WebP, AVIF, TIFF, OpenEXR and Radiance HDR" in caught.value.message


def test_raw_in_a_tiff_coat_is_refused(picture: Image.Image, saved: Saved) -> None:
    dng = saved(picture, "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(UnsupportedImageError, match="RAW"):
        probe(dng)


def test_raw_whose_first_picture_is_a_thumbnail_is_refused(tiff_file: Saved) -> None:
    nef = tiff_file(np.zeros((12, 16, 3), np.uint8), 2, {254: (4, 1), 330: (4, 8)})
    with pytest.raises(UnsupportedImageError, match="RAW"):
        probe(nef)


@pytest.mark.parametrize(
    ("kind", "sample_format", "named"),
    [
        (np.float32, 3, "floating-point 32-bit"),
        (np.float16, 3, "floating-point 16-bit"),
        (np.int16, 2, "signed 16-bit"),
    ],
)
def test_tiffs_of_other_numbers_than_unsigned_integers_are_refused(
    tiff_file: Saved, kind: type, sample_format: int, named: str
) -> None:
    data = tiff_file(np.zeros((4, 6, 3), kind), 2, {339: (3, *[sample_format] * 3)})
    with pytest.raises(UnsupportedImageError, match=f"holds {named} samples. Accepted are unsigned integers"):
        probe(data)


@pytest.mark.parametrize(
    ("channels", "photometric", "more"),
    [(5, 5, {338: (3, 2)}), (2, 1, {338: (3, 1)}), (2, 0, {338: (3, 2)}), (3, 9, {}), (3, 2, {258: (3, 4, 4, 4)})],
)
def test_tiffs_that_pillow_does_not_know_are_not_called_damaged(
    tiff_file: Saved, channels: int, photometric: int, more: dict[int, tuple[int, ...]]
) -> None:
    data = tiff_file(np.zeros((4, 6, channels), np.uint8), photometric, more)
    with pytest.raises(UnsupportedImageError, match="Accepted are grey, palettes, RGB, YCbCr, CMYK and Lab"):
        probe(data)


@pytest.mark.parametrize(
    ("channels", "photometric", "more", "named"),
    [
        (3, 2, {258: (3, 12, 12, 12)}, "up to 8 bits, or of 16"),
        (1, 1, {258: (3, 12)}, "12-bit"),
        (3, 2, {258: (3, 10, 10, 10)}, "10-bit"),
        (3, 2, {284: (3, 2)}, "in one plane"),
        (4, 2, {284: (3, 2), 338: (3, 2)}, "in one plane"),
        (4, 5, {}, "grey, RGB"),
        (2, 1, {338: (3, 2)}, "RGB with alpha"),
        (5, 2, {338: (3, 2, 0)}, "RGB with alpha"),
        (3, 6, {}, "grey, RGB"),
        (3, 2, {259: (3, 50000)}, "none, LZW, Deflate, PackBits, JPEG and CCITT"),
        (3, 2, {259: (3, 34925)}, "none, LZW"),
        (3, 2, {259: (3, 50001)}, "none, LZW"),
    ],
)
def test_tiffs_that_opencv_misreads_are_named_with_what_is_accepted(
    tiff_file: Saved, channels: int, photometric: int, more: dict[int, tuple[int, ...]], named: str
) -> None:
    data = tiff_file(np.zeros((4, 6, channels), np.uint16), photometric, more)
    with pytest.raises(UnsupportedImageError, match=named) as caught:
        probe(data)
    assert caught.value.code == "UNSUPPORTED_FORMAT"
    assert "Accepted" in caught.value.message


@pytest.mark.parametrize(
    "start", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x64\0\0\0WEBPVP8 ", b"II*\0\x08\0\0\0"]
)
@pytest.mark.parametrize("rest", [b"", bytes(64), b"\xff" * 64])
def test_damaged_headers_are_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(InvalidImageError) as caught:
        probe(start + rest)
    assert caught.value.code in ("IMAGE_CORRUPT", "IMAGE_TRUNCATED")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_12_bits_is_named(picture: Image.Image, saved: Saved, progressive: bool) -> None:
    data = bytearray(saved(picture, "JPEG", progressive=progressive, comment=b"\xff\xc0\x00\x0b\x0c"))
    frame = data.rindex(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[frame + 4] = 12
    with pytest.raises(UnsupportedImageError, match=r"12-bit samples\. Accepted are those of 8") as caught:
        probe(bytes(data))
    assert caught.value.code == "UNSUPPORTED_FORMAT"
    data[frame + 4] = 77
    with pytest.raises(InvalidImageError, match="damaged"):
        probe(bytes(data))


@pytest.mark.parametrize("between", [b"", b"\xff" * 3, b"\xff\x01", b"\xff\xfe\x00\x04\xff\xd9"])
def test_a_jpeg_of_more_scans_than_encoders_make_is_refused(picture: Image.Image, saved: Saved, between: bytes) -> None:
    data = saved(picture, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = between + data[last:-2]
    assert probe(data[:-2] + scan * 20 + data[-2:]).width == picture.width
    with pytest.raises(ImageTooLargeError, match=r"has 1\d\d scans; the limit is 50") as caught:
        probe(data[:-2] + scan * 100 + data[-2:])
    assert caught.value.code == "IMAGE_TOO_COMPLEX"


def test_scans_of_one_component_each_are_counted_in_sequential_jpegs_too(picture: Image.Image, saved: Saved) -> None:
    data = bytearray(saved(picture.convert("L"), "JPEG"))
    frame = data.index(b"\xff\xc0")
    assert data[frame + 9] == 1
    scan = bytes(data[data.index(b"\xff\xda") : -2])
    many = bytes(data[:-2]) + scan * 100 + b"\xff\xd9"
    assert probe(many).width == picture.width, "of all components: nothing reads what comes behind the first"
    data[frame + 9] = 3  # of which a scan holds one
    data[frame + 3] += 6
    data[frame + 13 : frame + 13] = bytes([2, 0x11, 0, 3, 0x11, 0])
    with pytest.raises(ImageTooLargeError, match=r"has 101 scans; the limit is 50"):
        probe(bytes(data[:-2]) + scan * 100 + b"\xff\xd9")


def test_a_jpeg_of_thousands_of_segments_is_refused(picture: Image.Image, saved: Saved) -> None:
    jpeg, segment = saved(picture, "JPEG"), b"\xff\xfe\0\2"
    assert probe(jpeg[:2] + 900 * segment + jpeg[2:]).width == picture.width
    with pytest.raises(ImageTooLargeError, match="has more than 1,000 segments before its first scan") as caught:
        probe(jpeg[:2] + 1000 * segment + jpeg[2:])
    assert caught.value.code == "IMAGE_TOO_COMPLEX"


def test_a_jpeg_of_exif_in_thousands_of_pieces_is_refused(picture: Image.Image, saved: Saved) -> None:
    jpeg = saved(picture, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 1008) + b"Exif\0\0" + bytes(1000)
    assert probe(jpeg[:2] + 100 * segment + jpeg[2:]).exif
    with pytest.raises(ImageTooLargeError, match="EXIF in 101 segments; the limit is 100"):
        probe(jpeg[:2] + 101 * segment + jpeg[2:])


def test_what_only_looks_like_scans_is_none(picture: Image.Image, saved: Saved) -> None:
    data = saved(picture, "JPEG", comment=b"\xff\xda\0\2" * 1000)
    assert probe(data + b"\xff\xda\0\2" * 1000).width == picture.width


def test_a_chunk_longer_than_its_png_is_refused_before_it_is_allocated(picture: Image.Image, saved: Saved) -> None:
    data = saved(picture, "PNG")
    for kind in (b"IDAT", b"IEND"):
        at = data.index(kind) - 4
        for size in (len(data), 0x7FFFFFFF, 0xE700002D):
            with pytest.raises(InvalidImageError, match="damaged"):
                probe(data[:at] + size.to_bytes(4, "big") + data[at + 4 :])
    assert probe(data + b"behind its end").width == picture.width


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_exif_behind_the_pixels_of_a_png_counts(picture: Image.Image, saved: Saved, mode: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    image = picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
    data = saved(image, "PNG", exif=exif)
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]

    before, behind = probe(data), probe(moved)

    assert moved.index(b"IDAT") < moved.index(b"eXIf")
    assert before == behind
    assert behind.orientation == 6
    assert b"Maker" in (behind.exif or b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damaged", [b"junkjunkjunk", b"", b"II*\0", b"MM\0*" + b"\xff" * 4, b"II*\0\x08\0\0\0\x09\0"])
def test_damaged_exif_is_no_damaged_picture(picture: Image.Image, saved: Saved, kind: str, damaged: bytes) -> None:
    header = probe(saved(picture, kind, exif=b"Exif\0\0" + damaged))
    assert (header.width, header.height, header.orientation) == (48, 32, 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("entry", "orientation"),
    [
        ((3, 1, 6), 6),
        ((4, 1, 6), 6),
        ((1, 1, 6), 6),
        ((3, 1, 9), 1),
        ((3, 1, 0), 1),
        ((3, 2, 6), 1),
        ((2, 1, 6), 1),
        ((5, 1, 6), 1),
    ],
)
def test_orientation_is_an_integer_of_any_size(
    picture: Image.Image, saved: Saved, order: str, entry: tuple[int, int, int], orientation: int
) -> None:
    kind, count, value = entry
    packed = struct.pack(order + {1: "B3x", 3: "Hxx"}.get(kind, "I"), value)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    exif = magic + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, count) + packed + bytes(4)
    assert probe(saved(picture, "JPEG", exif=b"Exif\0\0" + exif)).orientation == orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_any_cut_is_an_error_of_ours_or_a_header(picture: Image.Image, saved: Saved, kind: str) -> None:
    data = saved(picture, kind, icc_profile=PROFILE)
    for end in range(12, min(len(data), 600), 7):
        with suppress(InvalidImageError, UnsupportedImageError):
            assert probe(data[:end]).format == kind.lower()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_animations_are_refused(picture: Image.Image, saved: Saved, kind: str) -> None:
    other = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = saved(picture, kind, save_all=True, append_images=[other])
    with pytest.raises(InvalidImageError, match="2 ") as caught:
        check_limits(probe(data), Limits())
    assert caught.value.code == "IMAGE_ANIMATED"


def test_a_thumbnail_in_a_tiff_is_no_second_page(picture: Image.Image, saved: Saved) -> None:
    thumbnail = picture.resize((12, 8))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    assert probe(saved(picture, "TIFF", save_all=True, append_images=[thumbnail])).frames == 1


def test_a_thumbnail_is_not_taken_for_the_picture_behind_it(picture: Image.Image, saved: Saved) -> None:
    whole = picture.copy()
    whole.encoderinfo = {"tiffinfo": {254: 0}}
    data = saved(picture.resize((12, 8)), "TIFF", save_all=True, append_images=[whole], tiffinfo={254: 1})
    assert probe(data).frames == 2


def test_limits_are_judged_by_the_header_alone() -> None:
    header = probe(png_of(30_000, 30_000))
    assert_quick(lambda: probe(png_of(30_000, 30_000)), 0.1)
    with pytest.raises(ImageTooLargeError) as caught:
        check_limits(header, Limits())
    assert caught.value.code == "IMAGE_TOO_LARGE"
    assert "30000 x 30000 = 900,000,000" in caught.value.message
    assert "100,000,000" in caught.value.message


def test_a_side_can_be_too_long_by_itself() -> None:
    with pytest.raises(ImageTooLargeError) as caught:
        check_limits(probe(png_of(30_001, 2)), Limits())
    assert caught.value.code == "IMAGE_DIMENSIONS"
    assert "30,000" in caught.value.message


def test_what_the_limits_allow_exactly_passes() -> None:
    header = ImageHeader("png", 100, 100, "RGB", 8, has_alpha=False)
    check_limits(header, Limits(max_pixels=10_000, max_dimension=100))


@pytest.mark.parametrize("kind", ["exr", "hdr"])
def test_scene_light_has_a_limit_of_its_own(kind: InputFormat) -> None:
    limits = Limits(max_pixels=10_000, max_scene_pixels=5_000)
    check_limits(ImageHeader(kind, 100, 50, "RGB", 16, has_alpha=False), limits)
    with pytest.raises(ImageTooLargeError) as caught:
        check_limits(ImageHeader(kind, 100, 51, "RGB", 16, has_alpha=False), limits)
    assert "5,100 pixels of scene light; the limit is 5,000" in caught.value.message


def test_avif_with_alpha_has_a_limit_of_its_own() -> None:
    limits = Limits(max_pixels=10_000, max_alpha_avif_pixels=5_000)
    check_limits(ImageHeader("avif", 100, 50, "RGBA", 10, has_alpha=True), limits)
    check_limits(ImageHeader("avif", 100, 100, "RGB", 10, has_alpha=False), limits)
    with pytest.raises(ImageTooLargeError, match="5,100 pixels of AVIF with alpha; the limit is 5,000"):
        check_limits(ImageHeader("avif", 100, 51, "RGBA", 10, has_alpha=True), limits)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def test_avif_properties_in_another_box_do_not_count(avif_file: bytes) -> None:
    claim = box(b"free", box(b"meta", box(b"ispe", struct.pack(">III", 0, 64, 64))))
    start = int.from_bytes(avif_file[:4], "big")
    header = probe(avif_file[:start] + claim + avif_file[start:])
    assert (header.width, header.height) == (40, 30)


def test_overlapping_avif_boxes_take_no_more_memory_than_the_file() -> None:
    boxes = (struct.pack(">I", 300_000) + b"ispe") * 20_000

    def refuse() -> None:
        with pytest.raises(ImageError):
            probe(box(b"ftyp", b"avif\0\0\0\0avif") + box(b"meta", boxes))

    assert peak_bytes(refuse) < 5_000_000


@pytest.fixture
def avif_file() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "AVIF")
    return buffer.getvalue()


def test_an_avif_of_grey_with_alpha_is_named_and_grey_alone_is_read(picture: Image.Image, saved: Saved) -> None:
    grey = cv2.imencode(".avif", np.asarray(picture.convert("L")))[1].tobytes()
    assert probe(grey).mode == "L"
    image = picture.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = bytearray(saved(image, "AVIF"))
    assert probe(bytes(data)).mode == "RGBA"
    at = -1
    while (at := data.find(b"av1C", at + 1)) > 0:
        data[at + 6] |= 0x10  # monochrome
    with pytest.raises(UnsupportedImageError, match=r"grey with alpha\. Accepted are grey, RGB"):
        probe(bytes(data))


def test_a_tiff_of_very_many_thumbnails_is_read_quickly(picture: Image.Image, saved: Saved) -> None:
    thumbnails = [picture.resize((8, 8)) for _ in range(2000)]
    for thumbnail in thumbnails:
        thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    data = saved(picture, "TIFF", save_all=True, append_images=thumbnails)
    assert probe(data).frames == 1
    assert_quick(lambda: probe(data), 0.05)  # 0.1 s and more where every page is looked at


@pytest.mark.parametrize(("extension", "kind"), [(".exr", "exr"), (".hdr", "hdr")])
def test_header_of_scene_light(scene_file: Saved, light: NDArray[Any], extension: str, kind: str) -> None:
    header = probe(scene_file(extension, light))
    assert (header.format, header.width, header.height) == (kind, 48, 32)
    assert (header.mode, header.bit_depth, header.has_alpha, header.frames) == ("RGB", 16, False, 1)


def test_alpha_of_an_exr_is_seen(scene_file: Saved, light: NDArray[Any]) -> None:
    alpha = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(32, 48, 1)
    assert probe(scene_file(".exr", np.dstack([light, alpha]))).has_alpha


def exr_header(
    channels: list[tuple[str, int]],
    flags: int = 0,
    width: int = 8,
    kind: bytes = b"",
    compression: int = 3,
    left: int = 0,
) -> bytes:
    def attribute(name: bytes, value: bytes) -> bytes:
        return name + b"\0type\0" + struct.pack("<I", len(value)) + value

    listed = b"".join(name.encode() + b"\0" + struct.pack("<4i", 1, 0, step, step) for name, step in channels)
    window = attribute(b"dataWindow", struct.pack("<4i", left, 0, left + width - 1, 7))
    named = attribute(b"type", kind) if kind else b""
    return (
        b"\x76\x2f\x31\x01"
        + struct.pack("<I", 2 | flags)
        + attribute(b"channels", listed + b"\0")
        + attribute(b"compression", bytes([compression]))
        + window
        + named
        + b"\0"
    )


RGB = [("B", 1), ("G", 1), ("R", 1)]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (exr_header([("Z", 1)]), "channels Z"),
        (exr_header([("diffuse.R", 1), ("diffuse.G", 1)]), "diffuse.R, diffuse.G"),
        (exr_header([("0", 1), ("1", 1)]), "0, 1"),
        (exr_header([("B", 2), ("G", 1), ("R", 1)]), "B is subsampled"),
        (exr_header([("BY", 2), ("RY", 2), ("Y", 1)], left=2), "luminance and chroma"),
        (exr_header([("RY", 2), ("Y", 1)]), "RY, Y"),
        (exr_header(RGB, flags=0x800), "deep"),
        (exr_header(RGB, kind=b"deepscanline"), "deep"),
        (exr_header(RGB, compression=10), "HTJ2K"),
    ],
)
def test_exrs_that_cannot_be_read_are_named(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedImageError, match=named) as caught:
        probe(data)
    assert caught.value.code == "UNSUPPORTED_FORMAT"


def test_long_channel_names_are_cut_in_messages_and_refused_where_no_exr_has_them() -> None:
    with pytest.raises(UnsupportedImageError) as refused:
        probe(exr_header([(f"{number:03}" + "n" * 252, 1) for number in range(30)]))
    assert "channels 000nnn" in refused.value.message
    assert len(refused.value.message) < 200
    with pytest.raises(InvalidImageError) as refused_too:
        probe(exr_header([*RGB, ("n" * 256, 1)]))
    assert refused_too.value.code == "IMAGE_CORRUPT"
    assert len(refused_too.value.message) < 200


def test_exrs_with_more_than_the_colours_are_read() -> None:
    assert probe(exr_header([("A", 1), *RGB, ("Z", 1), ("diffuse.R", 2)])).mode == "RGBA"
    assert probe(exr_header([("B", 1), ("BY", 2), ("G", 1), ("R", 1), ("RY", 2), ("Y", 1)], left=2)).mode == "RGB"


def test_exrs_of_luminance_and_chroma_are_told_apart() -> None:
    assert probe(exr_header([("BY", 2), ("RY", 2), ("Y", 1)])).has_chroma
    assert not probe(exr_header([("Y", 1)], left=2)).has_chroma
    assert not probe(exr_header(RGB)).has_chroma


def test_limits_of_scene_light() -> None:
    radiance = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20000 +X 20000\n"
    for data in (exr_header(RGB, width=2**31 - 1), radiance):
        with pytest.raises(ImageTooLargeError):
            check_limits(probe(data), Limits())


@pytest.mark.parametrize(
    "data", [exr_header(RGB)[:30], b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", exr_header(RGB, width=0)]
)
def test_damaged_headers_of_scene_light(data: bytes) -> None:
    with pytest.raises(InvalidImageError, match=r"OpenEXR|Radiance HDR") as caught:
        probe(data)
    assert caught.value.code in ("IMAGE_CORRUPT", "IMAGE_TRUNCATED")
