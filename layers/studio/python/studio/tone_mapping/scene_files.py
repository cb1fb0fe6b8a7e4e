"""The headers of OpenEXR and Radiance HDR files. Nothing here decodes a pixel.

"OpenEXR File Layout", openexr.com; Greg Ward, "Real Pixels", Graphics Gems II, 1991, and Radiance's file formats.
Whatever is not as it should be is a ValueError, or what `struct` and `bytes` raise.
"""

import re
import struct
from typing import NamedTuple

XYZ = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3)  # primaries of CIE XYZ itself, as OpenEXR writes them

_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000  # flags beside OpenEXR's version
_LONGEST_NAME = 256  # with the zero that ends it
_LONGEST_RADIANCE_HEADER = 65_536

# How a Radiance picture is scanned -> the EXIF orientation that says the same.
_SCANS = {
    (b"-Y", b"+X"): 1,
    (b"-Y", b"-X"): 2,
    (b"+Y", b"-X"): 3,
    (b"+Y", b"+X"): 4,
    (b"+X", b"-Y"): 5,
    (b"-X", b"-Y"): 6,
    (b"-X", b"+Y"): 7,
    (b"+X", b"+Y"): 8,
}


class SceneHeader(NamedTuple):
    """What a file of scene-linear light says about itself.

    Attributes
    ----------
    channels : dict[str, tuple[int, int]]
        Names, and every how many columns and rows there is a sample.
    orientation : int
        EXIF orientation 1..8.
    primaries : tuple[float, ...] | None
        x and y of red, green, blue and white; None for Rec. 709's.
    is_deep : bool
        Whether a pixel has any number of samples.
    body : int
        Where the header ends.
    compression : int
        As OpenEXR numbers it.
    is_at_origin : bool
        Whether an OpenEXR's data window begins at 0.
    """

    width: int
    height: int
    channels: dict[str, tuple[int, int]]
    orientation: int
    primaries: tuple[float, ...] | None
    is_deep: bool
    body: int
    compression: int = 0
    is_at_origin: bool = True


def read_exr(data: bytes) -> SceneHeader:
    """Read the header of an OpenEXR file; of the first part, where it has several, for that is what OpenCV reads.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    SceneHeader

    Raises
    ------
    ValueError, KeyError, IndexError, struct.error
        The header is damaged, cut off, or lacks an attribute that every file has.
    """
    flags = struct.unpack_from("<I", data, 4)[0]
    attributes, body = _attributes(data, 8)
    if flags & _MULTIPART:
        while data[body] != 0:  # a part more
            body = _attributes(data, body)[1]
        body += 1
    left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    if right < left or bottom < top:
        raise ValueError("the data window is empty")
    primaries = attributes.get(b"chromaticities")
    return SceneHeader(
        width=right - left + 1,
        height=bottom - top + 1,
        channels=_channels(attributes[b"channels"]),
        orientation=1,
        primaries=None if primaries is None else struct.unpack("<8f", primaries),
        is_deep=bool(flags & _DEEP) or attributes.get(b"type", b"").startswith(b"deep"),
        body=body,
        compression=attributes[b"compression"][0],
        is_at_origin=(left, top) == (0, 0),
    )


def exr_ends_early(data: bytes) -> bool:
    """Tell whether a chunk of pixels, by the table of them behind the header, lies beyond the end.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bool
        False as well where the header is damaged.
    """
    try:
        at = read_exr(data).body
        first, last = len(data), 0
        while at < first:  # the first chunk lies right behind the table
            (chunk,) = struct.unpack_from("<Q", data, at)
            first, last, at = min(first, chunk), max(last, chunk), at + 8
        flags = struct.unpack_from("<I", data, 4)[0]
        before_size = 4 * bool(flags & _MULTIPART) + (16 if flags & _TILED else 4)
        if first == 0 or last >= len(data):
            return True
        return bool(last + before_size + 4 + struct.unpack_from("<I", data, last + before_size)[0] > len(data))
    except (ValueError, IndexError, KeyError):
        return False
    except struct.error:
        return True


def _attributes(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """Read name, type, size and value of each attribute, up to the empty name that ends a header."""
    attributes = {}
    while data[at] != 0:
        end = data.index(b"\0", at, at + _LONGEST_NAME)
        type_end = data.index(b"\0", end + 1, end + 1 + _LONGEST_NAME)
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        value = type_end + 5
        if value + size > len(data):
            raise ValueError("an attribute passes the end")
        attributes[data[at:end]] = data[value : value + size]
        at = value + size
    return attributes, at + 1


def _channels(listed: bytes) -> dict[str, tuple[int, int]]:
    channels, at = {}, 0
    while listed[at] != 0:
        end = listed.index(b"\0", at, at + _LONGEST_NAME)
        x, y = struct.unpack_from("<2i", listed, end + 9)  # behind the type and what is for lossy compression
        channels[listed[at:end].decode("latin-1")] = (x, y)
        at = end + 17
    return channels


def read_radiance(data: bytes) -> SceneHeader:
    """Read the header of a Radiance HDR file.

    GAMMA, EXPOSURE and PRIMARIES do not count: the picture is exposed anew, and primaries in the wild are Rec. 709's,
    nearly those, or zeros.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    SceneHeader

    Raises
    ------
    ValueError
        The header has no end, no size, or a coding that is not known.
    """
    end = data.index(b"\n\n", 0, _LONGEST_RADIANCE_HEADER)
    scan = re.compile(rb"([+-][XY]) +(\d{1,9}) +([+-][XY]) +(\d{1,9}) *\n").match(data, end + 2)
    form = re.search(rb"\nFORMAT= *(\S+) *\n", data[: end + 1])
    coding = form[1] if form else b"32-bit_rle_rgbe"
    if scan is None or (scan[1], scan[3]) not in _SCANS or coding not in (b"32-bit_rle_rgbe", b"32-bit_rle_xyze"):
        raise ValueError("no size, or no coding that is known")
    width, height = int(scan[4]), int(scan[2])
    if width == 0 or height == 0:
        raise ValueError("no pixels")
    return SceneHeader(
        width=width,
        height=height,
        channels={"R": (1, 1), "G": (1, 1), "B": (1, 1)},
        orientation=_SCANS[scan[1], scan[3]],
        primaries=XYZ if coding == b"32-bit_rle_xyze" else None,
        is_deep=False,
        body=scan.end(),
    )


def plain_radiance(data: bytes) -> bytes:
    """Return the file with the one header that OpenCV reads; the pixels stay as they are.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        As `read_radiance` raises it.
    """
    header = read_radiance(data)
    size = f"-Y {header.height} +X {header.width}\n".encode()
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + size + data[header.body :]


def radiance_ends_early(data: bytes) -> bool:
    """Follow the runs of every scanline, to tell whether the file ends in the middle of them.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bool
        False as well where a run is damaged, or a header that has its end.
    """
    try:
        header = read_radiance(data)
    except ValueError:
        return b"\n\n" not in data
    at, length = header.body, len(data)
    start = data[at : at + 4]
    if not 8 <= header.width <= 32_767 or start[:2] != b"\2\2" or start[2:3] >= b"\x80":
        return length - at < 4 * header.width * header.height  # not run-length encoded
    for _ in range(header.height):
        if at + 4 > length:
            return True
        at += 4
        for _ in range(4):
            left = header.width
            while left > 0:
                if at + 2 > length:
                    return True
                count = data[at]
                run = count > 128
                left -= count - 128 if run else count
                at += 2 if run else 1 + count
                if count == 0 or left < 0:
                    return False
    return at > length
