"""EXIF and colour profiles in the output, where OpenCV cannot put them or Pillow cannot save the pixels."""

import struct
from io import BytesIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

EXIF_IFD, GPS_IFD, ORIENTATION = 0x8769, 0x8825, 0x0112
# What a TIFF's own directory may say of EXIF: description, make, model, software, date, artist, copyright.
TIFF_TEXT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

_EXTRA_SAMPLES, _ICC_PROFILE = 338, 34675
_UNDEFINED = 7  # TIFF's type of opaque bytes
_TEXT, _LONG, _IFD = 2, 4, 13  # others of TIFF's types
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types, as `struct` calls them
_INTEROPERABILITY = 0xA005
_MAGIC = (b"II*\0", b"MM\0*")  # less is not enough: OpenCV then writes no AVIF at all
_SEGMENT = 65533  # the most that a JPEG segment can carry
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


def usable_profile(profile: bytes | None) -> bytes | None:
    """Return an ICC profile if it describes RGB pixels and is whole, else None (ICC.1:2022, 7.2).

    Parameters
    ----------
    profile : bytes | None
        As embedded in the input.

    Returns
    -------
    bytes | None
        Cut to the size that it says it has.
    """
    if profile is None or len(profile) < 128:
        return None
    size = int.from_bytes(profile[:4], "big")
    is_rgb = profile[16:20] == b"RGB " and profile[36:40] == b"acsp"
    return profile[:size] if is_rgb and size <= len(profile) else None


def exif_orientation(exif: bytes | None) -> int:
    """Return the orientation that EXIF has, 1 where it has none or is damaged: the picture need not be.

    It is looked for without reading anything else, which may be large, or make Pillow decode a whole PNG.
    """
    if exif is None or exif[:4] not in _MAGIC:
        return 1
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", exif, entry)
            if tag == ORIENTATION and kind in _INTEGERS and count == 1:
                return int(struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)[0])
    except struct.error:
        pass
    return 1


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
    order = "<" if exif[:2] == b"II" else ">"
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


def add_to_jpeg(jpeg: bytes, exif: bytes | None, profile: bytes | None) -> bytes:
    """Put EXIF (APP1) and a profile (APP2, in as many segments as it takes) behind the JFIF segment of a JPEG.

    EXIF that no segment can hold is left out.

    Parameters
    ----------
    jpeg : bytes
        With a JFIF segment, as `encode_jpeg` makes it.
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.
    profile : bytes | None
        An ICC profile.

    Returns
    -------
    bytes
    """
    segments = []
    if exif and len(exif) + 6 <= _SEGMENT:
        segments.append((0xE1, b"Exif\0\0" + exif))
    if profile:
        room = _SEGMENT - 14
        chunks = [profile[at : at + room] for at in range(0, len(profile), room)]
        segments += [(0xE2, b"ICC_PROFILE\0" + bytes([n, len(chunks)]) + chunk) for n, chunk in enumerate(chunks, 1)]
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    behind_jfif = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:behind_jfif] + added + jpeg[behind_jfif:]


def add_to_tiff(tiff: bytes, exif: bytes | None, profile: bytes | None, has_alpha: bool) -> bytes:
    """Give a TIFF a new directory at its end: the old entries, EXIF, a profile and the name of its fourth channel.

    Parameters
    ----------
    tiff : bytes
        One picture, as OpenCV writes it.
    exif : bytes | None
        The TIFF structure, without the ``Exif`` prefix.
    profile : bytes | None
        An ICC profile.
    has_alpha : bool
        Whether the fourth channel is alpha, straight.

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
    tiff += b"\0" * (len(tiff) % 2)
    if exif:
        tiff += copy_exif(exif, added, len(tiff))
    order = "<" if tiff[:2] == b"II" else ">"
    block = added.tobytes(len(tiff))  # with offsets that hold at the end of the file
    entries = _entries(tiff, struct.unpack_from(order + "I", tiff, 4)[0], order) + _entries(block, 0, order)
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2]))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack(order + "I", len(tiff) + len(block)) + tiff[8:] + block + directory


def tiff_directory(data: bytes, at: int | None = None) -> ImageFileDirectory_v2:
    """Read a directory of a TIFF, or of EXIF, which is built like one; the first by default."""
    directory, source = ImageFileDirectory_v2(data[:8]), BytesIO(data)
    source.seek(directory.next if at is None else at)
    directory.load(source)
    return directory


def own_exif(tiff: bytes) -> bytes | None:
    """EXIF of its own from a TIFF, which spreads it over the directory that also describes the pixels."""
    kept = ImageFileDirectory_v2()
    copied = copy_exif(tiff, kept, 8)
    at = 8 + len(copied)
    return b"II*\0" + struct.pack("<I", at) + copied + kept.tobytes(at) if len(kept) else None


def copy_exif(source: bytes, target: ImageFileDirectory_v2, at: int) -> bytes:
    """Copy what a TIFF or EXIF block says of a picture's making: texts into `target`, directories behind it.

    Returns the directories, to which `target` points as if they lay at the even offset `at`. What is damaged is left
    out.
    """
    try:
        first = tiff_directory(source)
    except _DAMAGE:
        return b""
    for tag in TIFF_TEXT_TAGS:
        if first.tagtype.get(tag) == _TEXT:
            target[tag] = first[tag]
    copied = b""
    for tag in (EXIF_IFD, GPS_IFD):
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
            copy[tag] = directory[tag]
    if not len(copy):
        raise ValueError("an empty directory")
    return copy.tobytes(at)


def _entries(data: bytes, at: int, order: str) -> list[bytes]:
    """Cut a TIFF directory into its entries of 12 bytes."""
    (count,) = struct.unpack_from(order + "H", data, at)
    return [data[entry : entry + 12] for entry in range(at + 2, at + 2 + 12 * count, 12)]
