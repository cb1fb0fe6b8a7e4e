"""Hostile files, made by code: pictures that lie, explode, loop or end early, and looks that do."""

import os
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import islice

import cv2
import numpy as np
from PIL import Image, ImageCms

KINDS = ("jpeg", "png", "webp", "avif", "tiff", "exr", "hdr")


def pictures() -> Iterator[tuple[str, bytes]]:
    """Yield pictures none of which is a good one, each with a name for it."""
    good = {kind: picture(kind) for kind in KINDS}
    yield from _truncated(good)
    yield from _with_another_magic(good)
    yield from _bombs()
    yield from _huge_headers(good)
    yield from _nested(good)
    yield from _lying_metadata(good)


def damaged(each: int) -> Iterator[tuple[str, bytes]]:
    """Yield pictures with a few bytes changed; some may still be decoded."""
    chance = random.Random(20)
    for kind in KINDS:
        data = picture(kind)
        for number in range(each):
            changed = bytearray(data)
            for _ in range(chance.randint(1, 12)):
                # Headers are where the harm is: half of the changes are among the first 200 bytes.
                end = len(data) if chance.random() < 0.5 else min(len(data), 200)
                changed[chance.randrange(4, end)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            yield f"{kind}-damaged-{number}", bytes(changed)


def picture(kind: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a good picture."""
    width, height = size
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    if kind in ("exr", "hdr"):
        os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # OpenCV wants it for writing, too
        return cv2.imencode(f".{kind}", pixels.astype(np.float32) / 255)[1].tobytes()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind.upper())
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG's chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    """Return a PNG of 8-bit RGB that says it has this size."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


@cache
def zeros(megabytes: int) -> bytes:
    """Return so many megabytes of zeros, compressed a thousandfold."""
    press = zlib.compressobj(9)
    block = bytes(1_000_000)
    return b"".join([*(press.compress(block) for _ in range(megabytes)), press.flush()])


def tiff(entries: list[tuple[int, int, int, int]], *, following: int = 0, tail: bytes = b"") -> bytes:
    """Return a TIFF of one directory: (tag, type, count, value or offset)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", following) + tail


def tiff_entries(
    width: int, height: int, *, compression: int = 1, offset: int, size: int
) -> list[tuple[int, int, int, int]]:
    """Return the entries of 8-bit grey in one strip."""
    return [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)),
        *((273, 4, 1, offset), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, size)),
    ]


def exr(width: int, height: int, attributes: bytes = b"", chunks: bytes = b"") -> bytes:
    """Return an OpenEXR of one half-float channel, ZIP, that says it has this size."""
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel = b"Y\0" + struct.pack("<iB3xii", 1, 0, 1, 1) + b"\0"
    header = [
        *((b"channels", b"chlist", channel), (b"compression", b"compression", b"\3")),
        *((b"dataWindow", b"box2i", window), (b"displayWindow", b"box2i", window)),
        *((b"lineOrder", b"lineOrder", b"\0"), (b"pixelAspectRatio", b"float", struct.pack("<f", 1))),
        *((b"screenWindowCenter", b"v2f", bytes(8)), (b"screenWindowWidth", b"float", struct.pack("<f", 1))),
    ]
    packed = b"".join(exr_attribute(*attribute) for attribute in header)
    return b"\x76\x2f\x31\x01\2\0\0\0" + attributes + packed + b"\0" + chunks


def exr_attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
    """Return an attribute of an OpenEXR's header."""
    return name + b"\0" + kind + b"\0" + struct.pack("<I", len(value)) + value


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Return a JPEG's segment."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _truncated(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for kind, data in good.items():
        for length in (4, 12, 30, len(data) // 4, len(data) // 2, len(data) * 9 // 10):
            yield f"{kind}-cut-at-{length}", data[:length]
    yield "nothing", b""


def _with_another_magic(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for kind, data in good.items():
        for other, foreign in good.items():
            if other != kind:
                yield f"{kind}-as-{other}", foreign[:12] + data[12:]
    for magic in (b"GIF89a", b"BM", b"%PDF-1.7", b"PK\3\4", b"<svg>", b"\x7fELF", b"8BPS", b"\0\0\1\0", b"#!/bin/sh\n"):
        yield f"{magic!r}", magic + good["png"]


def _bombs() -> Iterator[tuple[str, bytes]]:
    yield "png-30000x30000", png(30_000, 30_000, data=zeros(3))
    yield "png-2^31-1", png(2**31 - 1, 2**31 - 1, data=zeros(1))
    yield "png-0x0", png(0, 0, data=zeros(1))
    for kind, head in ((b"iCCP", b"x\0\0"), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\1\0\0\0")):
        yield f"png-{kind.decode()}-inflating-to-300MB", png(64, 48, png_chunk(kind, head + zeros(300)))
    vp8l = struct.pack("<BI", 0x2F, 16383 | 16383 << 14)
    yield "webp-16384x16384", _riff(b"VP8L" + struct.pack("<I", 1000) + vp8l.ljust(1000, b"\0"))
    yield "webp-2^24", _riff(b"VP8X" + struct.pack("<IB3x", 10, 0) + b"\xff" * 6)
    yield "tiff-60000x60000", tiff(tiff_entries(60_000, 60_000, compression=8, offset=200, size=9), tail=bytes(200))
    packed = zeros(300)
    yield "exr-100000x100000", exr(100_000, 100_000)
    yield "exr-2^31", exr(2**31 - 1, 2**31 - 1)
    yield "exr-6000x6000-of-nothing", exr(6000, 6000, chunks=bytes(8 * 375))
    chunk = struct.pack("<ii", 0, len(packed)) + packed
    table = struct.pack("<3Q", *[len(exr(64, 48)) + 24] * 3)
    yield "exr-small-inflating-to-300MB", exr(64, 48, chunks=table + chunk)
    yield "hdr-100000x100000", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n" + bytes(1000)
    run = b"\2\2" + struct.pack(">H", 5000) + b"\xff\0" * 160
    yield "hdr-6000x5000-of-runs", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 6000 +X 5000\n" + run * 100
    yield "jpeg-65000x65000", _resized_jpeg(65_000, 65_000)
    yield "jpeg-of-2000-scans", _jpeg_of_scans(2000)
    for size in (0x7FFFFFFF, 0xE700002D):
        for kind in (b"IDAT", b"IEND"):
            yield f"png-with-{kind.decode()}-of-{size:x}", png(64, 48)[:33] + struct.pack(">I", size) + kind + bytes(60)


def _huge_headers(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    jpeg, segment = good["jpeg"], jpeg_segment(0xE1, b"Exif\0\0" + bytes(65_500))
    yield "jpeg-with-3MB-of-EXIF", jpeg[:2] + segment * 45 + jpeg[2 : len(jpeg) // 2]
    pieces = b"".join(jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(12_000)) for n in range(1, 256))
    yield "jpeg-with-3MB-of-ICC", jpeg[:2] + pieces + jpeg[2 : len(jpeg) // 2]
    yield "jpeg-with-700000-fill-bytes", jpeg[:2] + b"\xff" * 700_000 + jpeg[2 : len(jpeg) // 2]
    yield "png-with-200000-chunks", png(64, 48, png_chunk(b"tEXt", b"a\0b") * 200_000)
    yield "png-with-a-chunk-of-2^31", good["png"][:33] + struct.pack(">I", 2**31 - 1) + b"tEXt" + bytes(1000)
    yield "webp-with-200000-chunks", _riff(b"VP8X" + struct.pack("<I10x", 10) + b"ABCD\0\0\0\0" * 200_000)
    yield (
        "exr-with-50000-attributes",
        exr(64, 48, b"".join(exr_attribute(b"a%d" % n, b"int", bytes(4)) for n in range(50_000))),
    )
    yield "exr-with-an-attribute-of-2^32", exr(64, 48, b"a\0string\0" + b"\xff" * 4)
    yield "hdr-with-a-line-of-2MB", b"#?RADIANCE\n" + b"A" * 2_000_000 + b"\n\n-Y 4 +X 4\n"
    yield "hdr-with-500000-lines", b"#?RADIANCE\n" + b"A=1\n" * 500_000 + b"\n-Y 4 +X 4\n"
    yield "tiff-with-65535-entries", tiff([(300 + n % 60_000, 1, 1, 0) for n in range(65_535)])
    yield "tiff-with-a-tag-of-2^32", tiff([(270, 2, 2**32 - 1, 8)])


def _nested(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    box = b""
    for _ in range(20_000):
        box = struct.pack(">I", len(box) + 8) + b"meta" + box
    yield "avif-of-20000-boxes-in-boxes", good["avif"][:32] + box
    yield (
        "avif-of-100000-boxes",
        good["avif"][:32] + struct.pack(">I", 8 + 8 * 100_000) + b"meta" + b"\0\0\0\x08ispe" * 100_000,
    )
    yield "tiff-in-a-circle", tiff(tiff_entries(64, 48, offset=8, size=10), following=8)
    yield (
        "tiff-whose-exif-is-itself",
        tiff([*tiff_entries(64, 48, offset=8, size=10), (34665, 4, 1, 8), (34853, 4, 1, 8)]),
    )
    inner = good["webp"]
    for _ in range(300):
        inner = _riff(inner)
    yield "webp-in-webp-300-times", inner
    jpeg = good["jpeg"]
    for _ in range(60):
        jpeg = jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + jpeg[-60_000:])
    yield "jpeg-in-exif-60-times", jpeg


def _lying_metadata(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield pictures cut in the middle, since good ones with bad metadata are graded without it."""
    circle = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 34665, 4, 1, 8, 8)
    lie = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 270, 2, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    for name, exif in (("circle", circle), ("lie", lie), ("noise", bytes(range(256)) * 4), ("empty", b"")):
        data = good["jpeg"]
        yield f"jpeg-exif-{name}", data[:2] + jpeg_segment(0xE1, b"Exif\0\0" + exif) + data[2 : len(data) // 2]
        data = good["png"]
        yield f"png-exif-{name}", data[:33] + png_chunk(b"eXIf", exif) + data[33 : len(data) // 2]


def graded_all_the_same() -> Iterator[tuple[str, bytes]]:
    """Yield pictures that are good but for metadata that lies, or for pixels without end behind the last one."""
    packed = zeros(300)
    yield "png-small-inflating-to-300MB", png(64, 48, data=packed)
    at = 8 + 2 + 9 * 12 + 4
    for width, height in ((9000, 9000), (64, 48)):
        entries = tiff_entries(width, height, compression=8, offset=at, size=len(packed))
        yield f"tiff-{width}x{height}-inflating-to-300MB", tiff(entries, tail=packed)
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name, at, value in (
        ("size", 0, 2**32 - 1),
        ("tags", 128, 2**32 - 1),
        ("signature", 36, 0),
        ("offset", 136, 2**31),
    ):
        lying = bytearray(profile)
        lying[at : at + 4] = struct.pack(">I", value)
        data = picture("jpeg")
        piece = b"ICC_PROFILE\0\1\1" + bytes(lying)
        yield f"jpeg-icc-{name}", data[:2] + jpeg_segment(0xE2, piece) + data[2:]
        data = picture("png")
        yield f"png-icc-{name}", data[:33] + png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(lying))) + data[33:]
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    for name, xmp in (
        ("a-billion-laughs", f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a9;</x>'),
        ("100000-levels", "<a>" * 100_000 + "</a>" * 100_000),
        ("a-long-namespace", f'<a xmlns:b="{"u" * 500_000}">{"<b:c/>" * 80_000}</a>'),
    ):
        body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp.encode())
        yield f"png-xmp-of-{name}", data[:33] + png_chunk(b"iTXt", body) + data[33:]
    yield (
        "png-xmp-inflating-to-300MB",
        data[:33] + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed) + data[33:],
    )


def looks() -> Iterator[tuple[str, str]]:
    """Yield .cube, .3dl and .xmp text, all of it to be refused."""
    rows = "0 0 0\n" * 8
    for size in ("1000000000", "-2", "1e9", "2.5", "nan", "0", "130", "99999999999999999999999", "\u0662", "0x2"):
        yield f"cube-of-size-{size}", f"LUT_3D_SIZE {size}\n{rows}"
        yield f"cube-1d-of-size-{size}", f"LUT_1D_SIZE {size}\n{rows}"
    for number in ("nan", "NaN", "inf", "-inf", "1e400", "0x1", "1_0", "\u0661", "1,0", "--1", "$gt", "\0"):
        yield f"cube-with-{number!r}", f"LUT_3D_SIZE 2\n{rows[:-6]}0 0 {number}\n"
    yield "cube-with-half-of-its-rows", f"LUT_3D_SIZE 2\n{rows[:24]}"
    yield "cube-with-an-endless-line", "LUT_3D_SIZE 2\n" + "0 " * 1_000_000
    yield "cube-with-an-endless-number", "LUT_3D_SIZE 2\n" + "9" * 1_000_000 + " 0 0\n" + rows
    yield "cube-of-comments", "# no LUT\n" * 200_000
    yield "cube-with-a-title-of-2MB", f'TITLE "{"x" * 2_000_000}"\n{rows}'
    yield "cube-with-a-domain-of-nothing", f"LUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 0 0 0\n{rows}"
    yield "cube-that-says-its-size-twice", f"LUT_3D_SIZE 2\nLUT_3D_SIZE 129\n{rows}"
    yield "3dl-of-2^32", "0 4294967296\n0 0 0\n" * 4
    yield "3dl-of-nothing", "0 512 1023\n"
    yield "3dl-with-negative-steps", "1023 512 0\n" + "0 0 0\n" * 27
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    yield "xmp-of-a-billion-laughs", f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a9;</x>'
    yield "xmp-that-reads-a-file", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
    yield "xmp-that-reads-a-url", '<!DOCTYPE x SYSTEM "http://169.254.169.254/latest/meta-data/"><x/>'
    yield "xmp-of-100000-levels", "<a>" * 100_000
    yield "xmp-of-100000-attributes", "<a " + " ".join(f'b{n}="1"' for n in range(100_000)) + "/>"
    yield "xmp-of-100000-namespaces", "<a " + " ".join(f'xmlns:b{n}="{n}"' for n in range(100_000)) + "/>"
    yield "xmp-of-a-long-namespace", f'<a xmlns:b="{"u" * 500_000}">{"<b:c/>" * 80_000}</a>'
    yield "xmp-that-ends-early", '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    yield "nothing", ""
    yield "noise", "".join(map(chr, islice((n for n in range(1, 0x3000) if not 0xD800 <= n < 0xE000), 8000)))


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _resized_jpeg(width: int, height: int) -> bytes:
    data = bytearray(picture("jpeg"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _jpeg_of_scans(count: int) -> bytes:
    """Return a progressive JPEG of 64 megapixels whose last scan comes again and again: a few bytes, much work."""
    buffer = BytesIO()
    Image.new("L", (8000, 8000), 90).save(buffer, "JPEG", progressive=True, quality=50)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"
