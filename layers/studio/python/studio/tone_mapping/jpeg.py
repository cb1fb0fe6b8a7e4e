"""JPEG encoding on every core."""

import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
from numpy.typing import NDArray

_HALVED_CHROMA = 90  # quality, up to which chroma has half the resolution
# Sides in pixels of what is coded together, and rows of a strip: a restart interval has 65,535 of those at most.
_HALF, _FULL = (16, 128), (8, 32)
_START_OF_FRAME, _START_OF_SCAN, _FIRST_RESTART = 0xC0, 0xDA, 0xD0


def encode_jpeg(pixels: NDArray[Any], quality: int) -> bytes:
    """Encode a baseline JPEG, strip by strip at once: 4:2:0 up to a quality of 90, 4:4:4 above.

    Each strip is a restart interval (ITU-T T.81, E.1.4), which no other one has to be known for. The pixels are those
    of OpenCV's encoder, bit for bit.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    quality : int
        1..100.

    Returns
    -------
    bytes
        With a JFIF segment, without EXIF or a profile.
    """
    if quality <= _HALVED_CHROMA:
        (side, rows), sampling = _HALF, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    else:
        (side, rows), sampling = _FULL, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, -(-pixels.shape[1] // side) * (rows // side)]

    def encode_strip(top: int) -> bytes:
        return cv2.imencode(".jpg", pixels[top : top + rows], options)[1].tobytes()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return _join(list(pool.map(encode_strip, range(0, len(pixels), rows))), len(pixels))


def _join(strips: Sequence[bytes], height: int) -> bytes:
    """Make one JPEG of several that differ in nothing but their pixels, and in the last one's height."""
    head = bytearray(strips[0][: _scan_start(strips[0])])
    at = _find(head, _START_OF_FRAME)
    struct.pack_into(">H", head, at + 5, height)
    scans = []
    for number, strip in enumerate(strips):
        scans.append(strip[len(head) : -2])  # without the end-of-image marker
        scans.append(bytes([0xFF, _FIRST_RESTART + number % 8]))
    return b"".join([head, *scans[:-1], b"\xff\xd9"])


def _scan_start(jpeg: bytes) -> int:
    at = _find(jpeg, _START_OF_SCAN)
    return at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def _find(jpeg: Any, marker: int) -> int:
    """Return where a segment begins: FF, its marker, two bytes of its length without those first two."""
    at = 2
    while jpeg[at + 1] != marker:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return at
