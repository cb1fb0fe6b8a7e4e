"""The segments of JPEG files: what takes too long to read, what has other samples than are read, what is cut off.

ITU-T T.81, annex B. Nothing here decodes a pixel.
"""

import re
from collections.abc import Iterator

from studio.tone_mapping.errors import ImageTooLargeError, UnsupportedImageError

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # all else behind 0xff is filling, stuffing or a restart
_WITHOUT_LENGTH = (0x01, 0xD8)
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)  # frames that are not progressive, lossless or hierarchical
_FRAMES = (*_SEQUENTIAL, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_MOST_SEGMENTS = 1000  # before the first scan
_MOST_EXIF_SEGMENTS = 100
_MOST_SCANS = 50  # encoders make about ten, and each goes over the whole picture again


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment of a JPEG, and where its contents begin, up to the end of the picture."""
    at = 2
    while (marker := _MARKER.search(data, at)) and marker[0][1] != _END:
        yield marker[0][1], marker.end() + 2
        at = marker.end()
        if marker[0][1] not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")


def check_jpeg_complexity(data: bytes) -> None:
    """Refuse a JPEG whose segments or scans, of a few bytes each, would be read for minutes.

    Parameters
    ----------
    data : bytes
        The file.

    Raises
    ------
    ImageTooLargeError
        ``IMAGE_TOO_COMPLEX``.
    """
    exif_segments, components, has_one_scan = 0, b"", False
    for number, (marker, at) in enumerate(_segments(data)):
        if number >= _MOST_SEGMENTS:
            raise _too_complex(f"has more than {_MOST_SEGMENTS:,} segments before its first scan")
        if marker == _APP1:
            exif_segments += data.startswith(b"Exif\0\0", at)  # Pillow copies all of it for each one more
        elif marker in _FRAMES:
            components = data[at + 5 : at + 6] if marker in _SEQUENTIAL else b""
        elif marker == _SCAN:
            has_one_scan = data[at : at + 1] == components  # of all components: libjpeg reads no other
            break
    if exif_segments > _MOST_EXIF_SEGMENTS:
        raise _too_complex(f"has EXIF in {exif_segments:,} segments; the limit is {_MOST_EXIF_SEGMENTS}")
    # What comes in EXIF and behind the picture may look like scans, too.
    if not has_one_scan and data.count(bytes([0xFF, _SCAN])) > _MOST_SCANS:
        scans = sum(marker == _SCAN for marker, _ in _segments(data))
        if scans > _MOST_SCANS:
            raise _too_complex(f"has {scans:,} scans; the limit is {_MOST_SCANS}")


def _too_complex(what: str) -> ImageTooLargeError:
    return ImageTooLargeError("IMAGE_TOO_COMPLEX", f"The JPEG {what}. Save it again.")


def check_jpeg_depth(data: bytes) -> None:
    """Refuse a JPEG that Pillow calls damaged for having other than 8 bits.

    Parameters
    ----------
    data : bytes
        The file.

    Raises
    ------
    UnsupportedImageError
        ``UNSUPPORTED_FORMAT``.
    """
    for marker, at in _segments(data):
        if marker == _SCAN or at >= len(data):
            return
        if marker in _FRAMES:
            depth = data[at]
            if depth != 8 and 2 <= depth <= 16:
                raise UnsupportedImageError(
                    "UNSUPPORTED_FORMAT", f"The JPEG holds {depth}-bit samples. Accepted are those of 8 bits."
                )
            return


def jpeg_ends_early(data: bytes) -> bool:
    """Tell whether a JPEG ends before its picture does.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bool
    """
    # Behind the end there may be more, such as a motion photo's video, whose bytes may look like anything.
    scan = next((at for marker, at in _segments(data) if marker == _SCAN), len(data))
    return data.rfind(bytes([0xFF, _END]), scan) < 0
