"""EXIF and colour profiles in the output, where OpenCV cannot put them or Pillow cannot save the pixels."""

import struct

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

EXIF_IFD, GPS_IFD, ORIENTATION = 0x8769, 0x8825, 0x0112
# What a TIFF's own directory may say of EXIF: description, make, model, software, date, artist, copyright.
TIFF_TEXT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

_EXTRA_SAMPLES, _ICC_PROFILE = 338, 34675
_UNDEFINED = 7  # TIFF's type of opaque bytes
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types, as `struct` calls them
_SEGMENT = 65533  # the most that a JPEG segment can carry


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
    if exif is None or exif[:2] not in (b"II", b"MM"):
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
    if exif is None or exif[:2] not in (b"II", b"MM"):
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
    if exif:
        known = Image.Exif()
        known.load(b"Exif\0\0" + exif)
        for tag in TIFF_TEXT_TAGS:
            if tag in known:
                added[tag] = known[tag]
        for ifd in (EXIF_IFD, GPS_IFD):
            if tags := known.get_ifd(ifd):
                added[ifd] = dict(tags)
    tiff += b"\0" * (len(tiff) % 2)
    order = "<" if tiff[:2] == b"II" else ">"
    block = added.tobytes(len(tiff))  # with offsets that hold at the end of the file
    entries = _entries(tiff, struct.unpack_from(order + "I", tiff, 4)[0], order) + _entries(block, 0, order)
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2]))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack(order + "I", len(tiff) + len(block)) + tiff[8:] + block + directory


def _entries(data: bytes, at: int, order: str) -> list[bytes]:
    """Cut a TIFF directory into its entries of 12 bytes."""
    (count,) = struct.unpack_from(order + "H", data, at)
    return [data[entry : entry + 12] for entry in range(at + 2, at + 2 + 12 * count, 12)]
