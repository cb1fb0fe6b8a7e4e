"""EXIF, XMP, IPTC and colour profiles in the output, where OpenCV cannot put them or Pillow cannot save the pixels."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from studio.tone_mapping.profiles import adobe_rgb_profile
from studio.tone_mapping.xmp_iptc import IPTC_TAG, JPEG_XMP, PNG_KEYWORD, XMP_TAG, photoshop_resources

ORIENTATION = 0x0112

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
# What a TIFF's own directory may say of EXIF: description, make, model, software, date, artist, copyright.
_TIFF_TEXT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

_EXTRA_SAMPLES, _ICC_PROFILE = 338, 34675
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCH = 0.0254  # metres
_UNDEFINED = 7  # TIFF's type of opaque bytes
_BYTE, _TEXT, _LONG, _IFD = 1, 2, 4, 13  # others of TIFF's types
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types, as `struct` calls them
_INTEROPERABILITY, _COLOUR_SPACE, _UNCALIBRATED = 0xA005, 0xA001, 0xFFFF
_MAGIC = (b"II*\0", b"MM\0*")  # less is not enough: OpenCV then writes no AVIF at all
_SEGMENT = 65533  # the most that a JPEG segment can carry
_PROFILE_SEGMENT = _SEGMENT - 14  # of a profile, behind its name and numbers
JPEG_PROFILE_BYTES = 255 * _PROFILE_SEGMENT
Dpi = tuple[float, float] | None  # pixels an inch, across and down

# What Pillow raises at damaged or strange directories.
_DAMAGE = (
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    OSError,
    struct.error,
)


def camera_profile(exif: bytes | None) -> bytes | None:
    """Return Adobe RGB's profile where EXIF says that space (DCF 2.0), as many cameras do that embed none.

    Parameters
    ----------
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.

    Returns
    -------
    bytes | None
        An ICC profile; None where EXIF does not say that space, or is damaged.
    """
    details = _integer(exif, _EXIF_IFD)
    if exif is None or details is None or _integer(exif, _COLOUR_SPACE, details) != _UNCALIBRATED:
        return None
    index = _integer(exif, _INTEROPERABILITY, details)
    r03 = struct.pack(_order(exif) + "HHI4s", 1, _TEXT, 4, b"R03\0")  # tag 1, the first of its directory
    if index is None or not exif.startswith(r03, index + 2):
        return None
    return adobe_rgb_profile()


def exif_orientation(exif: bytes | None) -> int:
    """Return the orientation that EXIF has.

    Parameters
    ----------
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.

    Returns
    -------
    int
        1..8 as a rule, but whatever is there; 1 where there is none, or EXIF is damaged: the picture need not be.
    """
    return _integer(exif, ORIENTATION) or 1


def _integer(exif: bytes | None, wanted: int, at: int | None = None) -> int | None:
    """Return the value of a tag in a directory of EXIF, the first by default; None where there is none, or damage.

    It is looked for without reading anything else, which may be large, or make Pillow decode a whole PNG.
    """
    if exif is None or exif[:4] not in _MAGIC:
        return None
    order = _order(exif)
    try:
        at = struct.unpack_from(order + "I", exif, 4)[0] if at is None else at
        (entries,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", exif, entry)
            if tag == wanted and kind in _INTEGERS and count == 1:
                return int(struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)[0])
    except struct.error:
        pass
    return None


def _order(exif: bytes) -> str:
    return "<" if exif[:2] == b"II" else ">"


def upright_exif(exif: bytes | None) -> bytes | None:
    """EXIF that says upright and has no thumbnail, which would still show the picture before its grade.

    The two values are patched in place: to write EXIF anew would break what makers' notes point at.

    Parameters
    ----------
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.

    Returns
    -------
    bytes | None
        The same size; None as well where it is damaged.
    """
    if exif is None or exif[:4] not in _MAGIC:
        return None
    order = _order(exif)
    patched = bytearray(exif)
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            if struct.unpack_from(order + "H", exif, entry)[0] == ORIENTATION:
                struct.pack_into(order + "H", patched, entry + 8, 1)
        struct.pack_into(order + "I", patched, at + 2 + 12 * entries, 0)
    except struct.error:
        return None
    return bytes(patched)


def add_to_jpeg(
    jpeg: bytes,
    exif: bytes | None,
    profile: bytes | None,
    dpi: Dpi = None,
    *,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
) -> bytes:
    """Put EXIF, XMP (both APP1), IPTC (APP13) and a profile (APP2) behind the JFIF segment of a JPEG.

    The resolution goes into that one, the profile into as many segments as it takes. EXIF, XMP and IPTC that no segment
    can hold are left out.

    Parameters
    ----------
    jpeg : bytes
        With a JFIF segment, as `encode_jpeg` makes it.
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.
    profile : bytes | None
        An ICC profile.
    dpi : (float, float) | None
        Up to 65,535; written as whole numbers.
    xmp, iptc : bytes | None
        As `graded_xmp` and `graded_iptc` return them.

    Returns
    -------
    bytes
    """
    if dpi:  # JFIF 1.02: unit 1 is the inch
        jpeg = jpeg[:13] + struct.pack(">BHH", 1, *map(round, dpi)) + jpeg[18:]
    segments = []
    if exif:
        segments.append((0xE1, b"Exif\0\0" + exif))
    if xmp:
        segments.append((0xE1, JPEG_XMP + xmp))
    if iptc:
        segments.append((0xED, photoshop_resources(iptc)))
    segments = [(marker, body) for marker, body in segments if len(body) <= _SEGMENT]
    if profile:
        starts = range(0, len(profile), _PROFILE_SEGMENT)
        chunks = [profile[at : at + _PROFILE_SEGMENT] for at in starts]
        segments += [(0xE2, b"ICC_PROFILE\0" + bytes([n, len(chunks)]) + chunk) for n, chunk in enumerate(chunks, 1)]
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    behind_jfif = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:behind_jfif] + added + jpeg[behind_jfif:]


def add_to_png(png: bytes, dpi: Dpi, xmp: bytes | None = None) -> bytes:
    """Put the resolution (pHYs) and XMP (iTXt; OpenCV would write tEXt) before the pixels of a PNG.

    Parameters
    ----------
    png : bytes
        Without any.
    dpi : (float, float) | None
    xmp : bytes | None

    Returns
    -------
    bytes
    """
    chunks = []
    if dpi:  # unit 1 is the metre
        chunks.append(b"pHYs" + struct.pack(">IIB", *(round(value / _INCH) for value in dpi), 1))
    if xmp:  # not compressed, no language, no translated keyword
        chunks.append(b"iTXt" + PNG_KEYWORD + bytes(4) + xmp)
    if not chunks:
        return png
    added = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    behind_header = 8 + 25
    return b"".join([png[:behind_header], *added, png[behind_header:]])


def add_to_tiff(
    tiff: bytes,
    exif: bytes | None,
    profile: bytes | None,
    dpi: Dpi = None,
    *,
    has_alpha: bool,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
) -> bytes:
    """Give a TIFF a new directory at its end, of the old entries and all that is added.

    Parameters
    ----------
    tiff : bytes
        One picture, as OpenCV writes it.
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.
    profile : bytes | None
        An ICC profile.
    dpi : (float, float) | None
    has_alpha : bool
        Whether the fourth channel is alpha, straight.
    xmp, iptc : bytes | None

    Returns
    -------
    bytes
    """
    added = ImageFileDirectory_v2(tiff[:8])
    if has_alpha:
        added[_EXTRA_SAMPLES] = 2  # straight alpha
    if profile:
        added.tagtype[_ICC_PROFILE] = _UNDEFINED
        added[_ICC_PROFILE] = profile
    if xmp:
        added.tagtype[XMP_TAG] = _BYTE
        added[XMP_TAG] = xmp
    if iptc:
        added.tagtype[IPTC_TAG] = _UNDEFINED
        added[IPTC_TAG] = iptc
    if dpi:
        added[_X_RESOLUTION], added[_Y_RESOLUTION] = dpi
        added[_RESOLUTION_UNIT] = 2  # the inch
    tiff += b"\0" * (len(tiff) % 2)
    if exif:
        tiff += _copy_exif(exif, added, len(tiff))
    order = _order(tiff)
    block = added.tobytes(len(tiff))  # with offsets that hold at the end of the file
    entries = _entries(tiff, struct.unpack_from(order + "I", tiff, 4)[0], order) + _entries(block, 0, order)
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2]))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack(order + "I", len(tiff) + len(block)) + tiff[8:] + block + directory


def tiff_directory(data: bytes, at: int | None = None) -> ImageFileDirectory_v2:
    """Read a directory of a TIFF, or of EXIF, which is built like one.

    Parameters
    ----------
    data : bytes
        All of it.
    at : int | None
        Where the directory is; the first by default.

    Returns
    -------
    ImageFileDirectory_v2
        Tags and their values.

    Raises
    ------
    ValueError
        The values lie over each other so much that they were more than all of the data: each is copied, and some
        kilobytes could become gigabytes.
    SyntaxError, TypeError, KeyError, IndexError, OSError, struct.error
        The directory is damaged: Pillow raises these.
    """
    directory, source = ImageFileDirectory_v2(data[:8]), BytesIO(data)
    at = directory.next if at is None else at
    order = _order(data)
    total, end = 0, at + 2 + 12 * int.from_bytes(data[at : at + 2], "little" if order == "<" else "big")
    for entry in range(at + 2, min(end, len(data) - 11), 12):
        kind, count, offset = struct.unpack_from(order + "HII", data, entry + 2)
        size = _SIZES.get(kind, 0) * count
        total += size if offset + size <= len(data) else 0
    if total > len(data):
        raise ValueError("the values lie over each other")
    source.seek(at)
    directory.load(source)
    return directory


def own_exif(tiff: bytes) -> bytes | None:
    """Make EXIF of its own from a TIFF, which spreads it over the directory that also describes the pixels.

    Parameters
    ----------
    tiff : bytes

    Returns
    -------
    bytes | None
        The TIFF structure, without the ``Exif`` prefix; None where the file says nothing of the kind.
    """
    kept = ImageFileDirectory_v2()
    copied = _copy_exif(tiff, kept, 8)
    at = 8 + len(copied)
    return b"II*\0" + struct.pack("<I", at) + copied + kept.tobytes(at) if len(kept) else None


def _copy_exif(source: bytes, target: ImageFileDirectory_v2, at: int) -> bytes:
    """Copy what a TIFF or EXIF block says of a picture's making: texts into `target`, directories behind it.

    Returns the directories, to which `target` points as if they lay at the even offset `at`. What is damaged is left
    out.
    """
    try:
        first = tiff_directory(source)
    except _DAMAGE:
        return b""
    for tag in _TIFF_TEXT_TAGS:
        if first.tagtype.get(tag) == _TEXT:
            target.tagtype[tag] = _TEXT
            target[tag] = _raw(first[tag])
    copied = b""
    for tag in (_EXIF_IFD, _GPS_IFD):
        if first.tagtype.get(tag) not in (_LONG, _IFD):
            continue
        try:
            block = _copied_directory(tiff_directory(source, first[tag]), target.prefix, at + len(copied))
        except _DAMAGE:
            continue
        target.tagtype[tag] = _LONG
        target[tag] = at + len(copied)
        copied += block + b"\0" * (len(block) % 2)
    return copied


def _copied_directory(directory: ImageFileDirectory_v2, order: bytes, at: int) -> bytes:
    """Write a directory anew, to lie at `at`: each value of the type that it had."""
    copy = ImageFileDirectory_v2(prefix=order)
    for tag in directory:
        if tag != _INTEROPERABILITY:  # points at one more directory, of no use
            copy.tagtype[tag] = directory.tagtype[tag]
            copy[tag] = _raw(directory[tag])
    if not len(copy):
        raise ValueError("an empty directory")
    return copy.tobytes(at)


def _raw(value: Any) -> Any:
    """Return text as the bytes that it was, in UTF-8 or what else: Pillow reads it as Latin-1, but writes ASCII."""
    if isinstance(value, tuple):
        return tuple(_raw(part) for part in value)
    return value.encode("latin-1") if isinstance(value, str) else value


def _entries(data: bytes, at: int, order: str) -> list[bytes]:
    """Cut a TIFF directory into its entries of 12 bytes."""
    (count,) = struct.unpack_from(order + "H", data, at)
    return [data[entry : entry + 12] for entry in range(at + 2, at + 2 + 12 * count, 12)]
