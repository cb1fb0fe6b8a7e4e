"""XMP and IPTC of every format in every format, as Pillow reads them."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.metadata import add_to_tiff
from studio.tone_mapping.output import Output
from studio.tone_mapping.pipeline import fixed, grade_image
from studio.tone_mapping.probe import ImageHeader, probe
from studio.tone_mapping.xmp_iptc import MOST_BYTES, avif_xmp, graded_iptc, jpeg_iptc, png_xmp, tiff_block
from tests.memory import peak_bytes

Saved = Callable[..., bytes]
KINDS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"]
FORMATS: list[Any] = ["jpeg", "png", "webp", "avif", "tiff"]

XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+1.00"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:ImageWidth="48"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,51.5N">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">M\xc3\xb6wen</rdf:li></rdf:Alt></dc:title>
<dc:rights>A &amp; B</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def data_set(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


IPTC = (
    data_set(1, 20, b"\0\1")
    + data_set(1, 90, b"\x1b%G")
    + data_set(2, 120, "Möwen".encode())
    + data_set(2, 25, b"sea")
    + data_set(2, 25, b"sky")
    + data_set(2, 202, b"a preview")
    + data_set(3, 20, b"\0\x30")
)
GRADED_IPTC = {(1, 90): b"\x1b%G", (2, 120): "Möwen".encode(), (2, 25): [b"sea", b"sky"]}


def resource(number: int, body: bytes, name: bytes = b"") -> bytes:
    padded = bytes([len(name)]) + name + bytes((len(name) + 1) % 2)
    return b"8BIM" + struct.pack(">H", number) + padded + struct.pack(">I", len(body)) + body + bytes(len(body) % 2)


RESOURCES = resource(0x03ED, bytes(16)) + resource(0x040C, b"thumbnail") + resource(0x0404, IPTC, b"name")


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return jpeg[:2] + added + jpeg[2:]


def with_chunk(png: bytes, kind: bytes, body: bytes, at: int = 33) -> bytes:
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:at] + chunk + png[at:]


def described(saved: Saved, image: Image.Image, kind: str, xmp: bytes = XMP, orientation: int = 1) -> bytes:
    """Save a picture with XMP and, where the format has it, IPTC, as other programs do."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if orientation > 1:
        exif[0x0112] = orientation
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        return saved(image, kind, exif=exif, pnginfo=info)
    if kind == "TIFF":
        exif[700], exif[33723] = xmp, IPTC
        return saved(image, kind, tiffinfo=exif)
    data = saved(image, kind, exif=exif, xmp=xmp)
    return with_segments(data, (0xED, b"Photoshop 3.0\0" + RESOURCES)) if kind == "JPEG" else data


def graded(data: bytes, **output: Any) -> ImageFile.ImageFile:
    answer = grade_image(data, fixed(Adjustments(exposure=0.5)), Output(**output)).data
    return Image.open(BytesIO(answer or b""))


def xmp_of(image: ImageFile.ImageFile) -> bytes:
    found = image.info.get("xmp", b"")
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", FORMATS)
def test_xmp_and_iptc_go_from_every_format_to_every_format(
    picture: Image.Image, saved: Saved, kind: str, written: Any
) -> None:
    image = graded(described(saved, picture, kind), format=written)
    xmp = xmp_of(image)
    assert image.format == written.upper()
    assert '<rdf:li xml:lang="x-default">Möwen</rdf:li>'.encode() in xmp
    assert b"<dc:rights>A &amp; B</dc:rights>" in xmp
    assert b'xmp:Rating="4"' in xmp
    assert b'exif:GPSLatitude="48,51.5N"' in xmp
    assert b"crs" not in xmp
    assert b"ImageWidth" not in xmp
    assert image.getexif()[0x010F] == "Maker"
    if written in ("jpeg", "tiff"):
        expected = GRADED_IPTC if kind in ("JPEG", "TIFF") else None
        assert IptcImagePlugin.getiptcinfo(image) == expected
    if written == "jpeg":
        assert set(image.info.get("photoshop", {})) <= {0x0404}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", FORMATS)
def test_xmp_of_a_turned_picture_says_upright(picture: Image.Image, saved: Saved, kind: str, written: Any) -> None:
    data = described(saved, picture, kind, orientation=6)
    assert probe(data).orientation == 6
    answer = grade_image(data, fixed(), Output(format=written)).data or b""
    image = Image.open(BytesIO(answer))
    assert image.size == (32, 48)
    assert b'tiff:Orientation="1"' in xmp_of(image)
    assert b'tiff:Orientation="6"' not in answer


@pytest.mark.parametrize(
    ("orientation", "output", "kept"), [(1, {}, True), (1, {"max_size": 40}, False), (3, {}, False), (6, {}, False)]
)
def test_places_in_the_picture_are_kept_where_nothing_moved(
    picture: Image.Image, saved: Saved, orientation: int, output: Any, kept: bool
) -> None:
    regions = b"<a:Regions xmlns:a='http://www.metadataworkinggroup.com/schemas/regions/'>face</a:Regions><dc:rights>"
    data = described(saved, picture, "JPEG", XMP.replace(b"<dc:rights>", regions), orientation)
    xmp = xmp_of(graded(data, **output))
    assert (b"face" in xmp) == kept
    assert b"<dc:rights>A &amp; B</dc:rights>" in xmp


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", FORMATS)
def test_stripping_leaves_xmp_and_iptc_out(picture: Image.Image, saved: Saved, kind: str, written: Any) -> None:
    data = described(saved, picture, kind)
    answer = grade_image(data, fixed(), Output(format=written, strip_metadata=True)).data or b""
    header = probe(answer)
    assert (header.xmp, header.iptc) == (None, None)
    for word in (b"wen", b"Rating", b"sea", b"48,51"):
        assert word not in answer


@pytest.mark.parametrize(
    "xmp",
    [
        b"no XML",
        XMP[:-60],
        b'<!DOCTYPE x [<!ENTITY a "a">]>' + XMP,
        XMP.replace(b"A &amp; B", b"x" * MOST_BYTES),
        bytes(2_000_000),
    ],
    ids=["text", "cut", "doctype", "long", "zeros"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_xmp_that_cannot_be_used_does_not_fail_the_grade(
    picture: Image.Image, saved: Saved, kind: str, xmp: bytes
) -> None:
    data = described(saved, picture, kind, xmp[:65_000] if kind == "JPEG" else xmp)  # no segment holds more
    image = graded(data)
    assert image.size == picture.size
    assert xmp_of(image) == b""
    assert image.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("size", [60_000, 70_000])
@pytest.mark.parametrize("written", FORMATS)
def test_xmp_that_no_segment_holds_is_left_out_of_a_jpeg(
    picture: Image.Image, saved: Saved, written: Any, size: int
) -> None:
    data = described(saved, picture, "PNG", XMP.replace(b"A &amp; B", b"x" * size))
    image = graded(data, format=written)
    assert (b"x" * size in xmp_of(image)) == (written != "jpeg" or size < 65_000)
    assert image.getexif()[0x010F] == "Maker"


def test_the_longest_xmp_and_iptc_fill_a_segment(picture: Image.Image, saved: Saved) -> None:
    room = 65_533 - len(b"http://ns.adobe.com/xap/1.0/\0")
    first = xmp_of(graded(described(saved, picture, "PNG"), format="jpeg"))
    for size, fits in ((room - len(first), True), (room - len(first) + 1, False)):
        data = described(saved, picture, "PNG", XMP.replace(b"A &amp; B", b"A &amp; B" + b"x" * size))
        assert bool(xmp_of(graded(data, format="jpeg"))) == fits
    room = 65_533 - len(b"Photoshop 3.0\0") - 12
    for size, fits in ((room - 5 - room % 2, True), (room - 5 + 2, False)):
        # Longer than 32,767 bytes, a data set has the size of its size before that one.
        iptc = struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, size - 4) + b"x" * (size - 4)
        exif = Image.Exif()
        exif[33723] = iptc
        image = graded(saved(picture, "TIFF", tiffinfo=exif), format="jpeg")
        assert (image.info.get("photoshop", {}).get(0x0404) == iptc) == fits


@pytest.mark.parametrize("at", ["before", "behind"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_xmp_of_a_png_lies_before_or_behind_the_pixels(
    picture: Image.Image, saved: Saved, at: str, is_compressed: bool
) -> None:
    png = saved(picture, "PNG")
    packet = zlib.compress(XMP) if is_compressed else XMP
    body = b"XML:com.adobe.xmp\0" + bytes([is_compressed, 0]) + b"en\0XMP\0" + packet
    other = b"Comment\0\0\0\0\0" + b"something else"
    data = with_chunk(with_chunk(png, b"iTXt", body, 33 if at == "before" else len(png) - 12), b"iTXt", other)
    assert probe(data).xmp == XMP
    assert b'xmp:Rating="4"' in xmp_of(graded(data))


@pytest.mark.parametrize("kind", [b"iTXt", b"zTXt"])
@pytest.mark.parametrize("where", [33, -12])
def test_a_text_that_inflates_to_much_does_not_fail_the_grade(
    picture: Image.Image, saved: Saved, kind: bytes, where: int
) -> None:
    png = saved(picture, "PNG", exif=Image.Exif())
    bomb = zlib.compress(bytes(50_000_000), 9)
    flags = b"\1\0\0\0" if kind == b"iTXt" else b"\0"
    data = with_chunk(png, kind, b"XML:com.adobe.xmp\0" + flags + bomb, where % len(png))
    assert probe(data).xmp is None
    assert graded(data).size == picture.size


def test_a_transparent_grey_is_found_behind_a_text_that_inflates_to_much(picture: Image.Image, saved: Saved) -> None:
    png = saved(picture.convert("L"), "PNG", transparency=100)
    data = with_chunk(png, b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9))
    assert graded(data).mode == "RGBA"


def test_xmp_of_a_png_is_international_text(picture: Image.Image, saved: Saved) -> None:
    answer = grade_image(described(saved, picture, "JPEG"), fixed(), Output(format="png")).data or b""
    assert b"iTXtXML:com.adobe.xmp\0\0\0\0\0<?xpacket" in answer
    assert b"tEXt" not in answer
    assert answer.index(b"iTXt") < answer.index(b"IDAT")


def test_iptc_may_be_spread_over_segments(picture: Image.Image, saved: Saved) -> None:
    prefix = b"Photoshop 3.0\0"
    cut = len(RESOURCES) - 20
    data = with_segments(
        saved(picture, "JPEG"),
        (0xED, b"Adobe_CM\0something else"),
        (0xED, prefix + RESOURCES[:cut]),
        (0xED, prefix + RESOURCES[cut:]),
    )
    assert probe(data).iptc == IPTC
    assert IptcImagePlugin.getiptcinfo(graded(data)) == GRADED_IPTC


@pytest.mark.parametrize(
    "resources",
    [b"", b"8BIM", b"8BIM\4\4\0\0", RESOURCES[:-60], resource(0x0404, b""), resource(0x0404, b"nonsense"), b"x" * 100],
)
def test_damaged_resources_do_not_fail_the_grade(picture: Image.Image, saved: Saved, resources: bytes) -> None:
    data = with_segments(saved(picture, "JPEG"), (0xED, b"Photoshop 3.0\0" + resources))
    image = graded(data)
    assert image.size == picture.size
    assert set(IptcImagePlugin.getiptcinfo(image) or {}) <= {(1, 90), (2, 120)}


def test_inflating_takes_no_more_memory_than_is_kept() -> None:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(50_000_000), 9)
    assert peak_bytes(lambda: png_xmp(text)) < 4 * MOST_BYTES


def test_a_resource_has_an_even_size(picture: Image.Image, saved: Saved) -> None:
    iptc = data_set(2, 120, b"abcd")
    data = with_segments(saved(picture, "JPEG"), (0xED, b"Photoshop 3.0\0" + resource(0x0404, iptc)))
    answer = grade_image(data, fixed()).data or b""
    assert struct.pack(">BBH", 0xFF, 0xED, 2 + 14 + 12 + 10) + b"Photoshop 3.0\0" + resource(0x0404, iptc) in answer


def test_iptc_is_kept_up_to_its_damage() -> None:
    good = data_set(2, 120, b"a") + data_set(2, 25, b"b")
    assert graded_iptc(good + bytes(3)) == good
    assert graded_iptc(good + data_set(2, 25, b"cut")[:-1]) == good
    assert graded_iptc(good + struct.pack(">BBBH", 0x1C, 2, 25, 0x8FFF)) == good
    assert graded_iptc(data_set(1, 90, b"\x1b%G")) is None
    assert graded_iptc(b"nonsense") is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 4, 7])
def test_tiffs_have_iptc_of_three_types(order: str, kind: int) -> None:
    """Photoshop's is of type 4, and counted in fours."""
    iptc = data_set(2, 120, b"abc")
    count, at = len(iptc) // (4 if kind == 4 else 1), 8 + 2 + 12 + 4
    magic = b"II*\0" if order == "<" else b"MM\0*"
    tiff = magic + struct.pack(order + "IHHHIII", 8, 1, 33723, kind, count, at, 0) + iptc
    assert tiff_block(tiff, 33723) == iptc
    assert tiff_block(tiff, 700) is None


def test_tiff_blocks_that_are_nowhere_or_long_are_left_out() -> None:
    tiff = b"II*\0" + struct.pack("<IHHHII", 8, 1, 700, 1, MOST_BYTES + 1, 26) + bytes(2_000_000)
    assert tiff_block(tiff, 700) is None
    assert tiff_block(tiff.replace(struct.pack("<I", MOST_BYTES + 1), struct.pack("<I", MOST_BYTES)), 700)
    for damaged in (tiff[:6], tiff[:9], tiff[:20], b"II*\0\xff\xff\xff\xff"):
        assert tiff_block(damaged, 700) is None


def test_a_tiff_gets_both_beside_what_it_has() -> None:
    pixels = np.zeros((20, 31, 3), np.uint8)
    tiff = add_to_tiff(
        cv2.imencode(".tiff", pixels)[1].tobytes(), None, b"profile", (300, 300), has_alpha=False, xmp=XMP, iptc=IPTC
    )
    assert (tiff_block(tiff, 700), tiff_block(tiff, 33723)) == (XMP, IPTC)
    image = Image.open(BytesIO(tiff))
    assert image.info["icc_profile"] == b"profile"
    assert image.info["dpi"] == (300, 300)
    (at,) = struct.unpack_from("<I", tiff, 4)
    (entries,) = struct.unpack_from("<H", tiff, at)
    tags = [struct.unpack_from("<H", tiff, at + 2 + 12 * entry)[0] for entry in range(entries)]
    assert tags == sorted(set(tags))


def location(version: int, method: int, *extents: tuple[int, int], base: int = 0) -> bytes:
    """Return an `iloc` box's contents, of the items 1 and 7."""
    wide = "I" if version == 2 else "H"
    packed = struct.pack(f">B3xH{wide}", version, 0x4440 | (4 if version else 0), 2)
    for item, parts in ((1, [(5, 6), (7, 8)]), (7, extents)):
        packed += struct.pack(f">{wide}", item) + (struct.pack(">H", method) if version else b"")
        packed += struct.pack(">HIH", 0, base, len(parts))
        for start, length in parts:
            packed += (bytes(4) if version else b"") + struct.pack(">II", start, length)
    return packed


ITEM = {
    2: b"\2\0\0\0\0\7\0\0mime" + b"name\0application/rdf+xml\0",
    3: b"\3\0\0\0\0\0\0\7\0\0mime" + b"\0application/rdf+xml\0",
}
OTHER_ITEM = b"\2\0\0\0\0\1\0\0mime" + b"\0text/plain\0"


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("item", [2, 3])
@pytest.mark.parametrize("base", [0, 2])
def test_xmp_of_an_avif_lies_where_its_boxes_say(version: int, item: int, base: int) -> None:
    items = [OTHER_ITEM, ITEM[item]]
    data = b"0123456789abcdef"
    locations = location(version, 0, (10, 3), (2, 1), base=base)
    assert avif_xmp(data, items, locations, b"") == (b"cde4" if base else b"abc2")
    if version:
        assert avif_xmp(data, items, location(version, 1, (1, 3)), b"inner") == b"nne"
    assert avif_xmp(data, [OTHER_ITEM], locations, b"") is None
    for size in range(len(locations)):
        assert avif_xmp(data, items, locations[:size], b"") is None


def test_overlapping_parts_of_xmp_take_no_memory() -> None:
    assert avif_xmp(bytes(MOST_BYTES), [ITEM[2]], location(0, 0, *[(0, MOST_BYTES)] * 60_000), b"") is None


def test_an_index_of_millions_of_items_is_not_read() -> None:
    locations = location(2, 0, (0, 3))
    assert avif_xmp(b"abc", [ITEM[2]], locations.ljust(MOST_BYTES, b"\0"), b"") == b"abc"
    assert avif_xmp(b"abc", [ITEM[2]], locations.ljust(MOST_BYTES + 1, b"\0"), b"") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(), st.binary(), st.binary())
def test_no_bytes_raise(head: bytes, tail: bytes, noise: bytes) -> None:
    graded_iptc(head)
    graded_iptc(IPTC + tail)
    jpeg_iptc([("APP13", b"Photoshop 3.0\0" + head), ("APP13", b"Photoshop 3.0\0" + RESOURCES[:-30] + tail)])
    png_xmp(b"XML:com.adobe.xmp\0" + head)
    png_xmp(b"XML:com.adobe.xmp\0\1\0\0\0" + tail)
    tiff_block(b"II*\0" + head, 700)
    avif_xmp(noise, [head, ITEM[2] + tail], location(1, 0, (0, 5))[:-8] + tail, noise)
    avif_xmp(noise, [ITEM[3]], head, noise)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(xmp=st.binary(max_size=200), kind=st.sampled_from(KINDS))
def test_any_bytes_as_xmp_leave_the_grade_as_it_is(picture: Image.Image, saved: Saved, xmp: bytes, kind: str) -> None:
    if kind == "PNG":
        data = with_chunk(saved(picture, kind), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    elif kind == "TIFF":
        exif = Image.Exif()
        exif[700] = xmp or b"\0"
        data = saved(picture, kind, tiffinfo=exif)
    else:
        data = saved(picture, kind, xmp=xmp)
    assert (graded(data).tobytes(), xmp_of(graded(data))) == (graded(saved(picture, kind)).tobytes(), b"")


def test_pictures_without_xmp_need_no_xml_parser(picture: Image.Image, saved: Saved) -> None:
    program = (
        "import sys; from studio.tone_mapping.pipeline import fixed, grade_image\n"
        "grade_image(sys.stdin.buffer.read(), fixed())\n"
        "print('pyexpat' in sys.modules)"
    )
    for data, loads in ((saved(picture, "JPEG"), "False"), (described(saved, picture, "JPEG"), "True")):
        done = subprocess.run(
            [sys.executable, "-c", program], input=data, capture_output=True, check=True, env=dict(os.environ)
        )
        assert done.stdout.decode().strip() == loads


def test_scenes_have_neither(scene_file: Callable[..., bytes], light: Any) -> None:
    header: ImageHeader = probe(scene_file(".exr", light))
    assert (header.xmp, header.iptc) == (None, None)
