"""XMP and IPTC in files: captions, keywords, ratings and rights, as other programs put them there.

Adobe: XMP Specification Part 3, 2020 (where XMP lies). IPTC-NAA Information Interchange Model 4.1, 1999. Nothing here
reads XML: `xmp_metadata` does.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from io import SEEK_CUR, BytesIO

MOST_BYTES = 1_000_000  # of XMP or IPTC; what is longer is left out

XMP_TAG, IPTC_TAG = 700, 33723  # of TIFF
_TIFF_SIZES = {1: 1, 7: 1, 4: 4}  # of its types: bytes, opaque bytes, and what Photoshop writes IPTC in
PNG_KEYWORD = b"XML:com.adobe.xmp\0"
JPEG_XMP, JPEG_RESOURCES = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404

_TAG_MARKER = b"\x1c"
_LONGEST_DATA_SET = 0x7FFF
_RECORDS = (1, 2)  # the envelope, which tells how texts are encoded, and what is said of the picture
# Of the envelope, its file format and that one's version; a preview: its format, version and data.
_UNWANTED_DATA_SETS = ((1, 20), (1, 22), (2, 200), (2, 201), (2, 202))


def bounded(block: object) -> bytes | None:
    """Return XMP or IPTC as a file has it, unless it is empty or too long.

    Parameters
    ----------
    block : object
        Whatever was found.

    Returns
    -------
    bytes | None
    """
    return block if isinstance(block, bytes) and 0 < len(block) <= MOST_BYTES else None


def jpeg_iptc(segments: Iterable[tuple[str, bytes]]) -> bytes | None:
    """Return the IPTC of a JPEG, which Photoshop keeps among its image resources, in one segment or several.

    Parameters
    ----------
    segments : iterable of (str, bytes)
        ``APP13`` and others, and what they hold.

    Returns
    -------
    bytes | None
    """
    bodies = (body for name, body in segments if name == "APP13" and body.startswith(JPEG_RESOURCES))
    resources = b"".join(body.removeprefix(JPEG_RESOURCES) for body in bodies)[:MOST_BYTES]
    at = 0
    while resources.startswith(b"8BIM", at) and at + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, at + 4)
        at += 6 + (resources[at + 6] // 2 + 1) * 2  # the name, of an even size with its length
        size = int.from_bytes(resources[at : at + 4], "big")
        if number == _IPTC_RESOURCE:
            return bounded(resources[at + 4 : at + 4 + size])
        at += 4 + size + size % 2
    return None


def png_xmp(text: bytes) -> bytes | None:
    """Return the XMP of an iTXt chunk of a PNG.

    Parameters
    ----------
    text : bytes
        What the chunk holds: `PNG_KEYWORD`, and so on.

    Returns
    -------
    bytes | None
        None as well where it is damaged, or inflates to too much.
    """
    flags, rest = text[len(PNG_KEYWORD) : len(PNG_KEYWORD) + 2], text[len(PNG_KEYWORD) + 2 :]
    packet = rest.split(b"\0", 2)[-1]  # behind the language and the translated keyword
    if flags == b"\1\0":
        try:
            packet = zlib.decompressobj().decompress(packet, MOST_BYTES + 1)
        except zlib.error:
            return None
    return bounded(packet)


def tiff_block(tiff: bytes, wanted: int) -> bytes | None:
    """Return the XMP or IPTC of a TIFF's first directory.

    Parameters
    ----------
    tiff : bytes
        The file.
    wanted : int
        `XMP_TAG` or `IPTC_TAG`.

    Returns
    -------
    bytes | None
    """
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for at in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind, count, offset = struct.unpack_from(order + "HHII", tiff, at)
            if tag == wanted:
                size = count * _TIFF_SIZES.get(kind, 0)
                return bounded(tiff[offset : offset + size])
    except struct.error:
        pass
    return None


def avif_xmp(avif: bytes, items: Sequence[bytes], locations: bytes, inner: bytes) -> bytes | None:
    """Return the XMP of an AVIF, which is an item of its own (ISO/IEC 14496-12, 8.11).

    Parameters
    ----------
    avif : bytes
        The file.
    items : sequence of bytes
        What the `infe` boxes hold.
    locations, inner : bytes
        What the boxes `iloc` and `idat` hold.

    Returns
    -------
    bytes | None
        None as well where a box is damaged, or so long that reading it would take long.
    """
    if len(locations) > MOST_BYTES:
        return None
    try:
        wanted = next((_item_number(item) for item in items if _is_xmp(item)), None)
        return None if wanted is None else bounded(_item(wanted, avif, locations, inner))
    except (ValueError, IndexError):
        return None


def _item_number(item: bytes) -> int:
    return int.from_bytes(item[4 : 6 if item[0] == 2 else 8], "big")


def _is_xmp(item: bytes) -> bool:
    kind = 8 if item[0] == 2 else 10  # behind the number and that of a protection
    words = item[kind + 4 :].split(b"\0")  # name and media type
    return item[kind : kind + 4] == b"mime" and words[1] == b"application/rdf+xml"


def _item(wanted: int, avif: bytes, locations: bytes, inner: bytes) -> bytes | None:
    version, source = locations[0], BytesIO(locations[4:])
    wide = 4 if version == 2 else 2

    def number(size: int) -> int:
        piece = source.read(size)
        if len(piece) < size:
            raise ValueError("the box ends early")
        return int.from_bytes(piece, "big")

    sizes = number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # another file, if not 0
        base, extents = number(base_size), number(2)
        if item != wanted:
            source.seek(extents * (index_size + offset_size + length_size), SEEK_CUR)
            continue
        holder, parts, total = inner if method == 1 else avif, [], 0
        for _ in range(extents):
            number(index_size)
            start, length = base + number(offset_size), number(length_size)
            total += length
            if total > MOST_BYTES:
                return None
            parts.append(holder[start : start + length])
        return b"".join(parts)
    return None


def graded_iptc(iptc: bytes) -> bytes | None:
    """Return IPTC that is true of the graded picture: without a preview, or the format of the file that came.

    Parameters
    ----------
    iptc : bytes
        Data sets, one after another.

    Returns
    -------
    bytes | None
        Those up to the first damage; None where nothing is said of the picture.
    """
    kept, at = [], 0
    while iptc[at : at + 1] == _TAG_MARKER and at + 5 <= len(iptc):
        record, data_set, size = struct.unpack_from(">BBH", iptc, at + 1)
        end = at + 5 + size
        if size > _LONGEST_DATA_SET:  # then it is the size of the size, which comes behind it
            width = size - _LONGEST_DATA_SET - 1
            end = at + 5 + width + int.from_bytes(iptc[at + 5 : at + 5 + width], "big")
        if end > len(iptc):
            break
        if record in _RECORDS and (record, data_set) not in _UNWANTED_DATA_SETS:
            kept.append(iptc[at:end])
        at = end
    return b"".join(kept) if any(data_set[1] == _RECORDS[1] for data_set in kept) else None


def photoshop_resources(iptc: bytes) -> bytes:
    """Wrap IPTC for a segment of a JPEG, as Photoshop keeps it.

    Parameters
    ----------
    iptc : bytes

    Returns
    -------
    bytes
    """
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc))  # without a name
    return JPEG_RESOURCES + head + iptc + bytes(len(iptc) % 2)
