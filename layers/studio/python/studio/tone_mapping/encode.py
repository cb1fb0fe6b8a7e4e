"""Pixels to bytes, with the EXIF, XMP, IPTC and colour profile that came with them."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.dither import TILE, dither_pattern, dither_to_8_bits
from studio.tone_mapping.errors import OutputError
from studio.tone_mapping.formats import Format
from studio.tone_mapping.jpeg import encode_jpeg
from studio.tone_mapping.metadata import (
    JPEG_PROFILE_BYTES,
    add_to_jpeg,
    add_to_png,
    add_to_tiff,
    upright_exif,
)
from studio.tone_mapping.output import Output
from studio.tone_mapping.probe import ImageHeader
from studio.tone_mapping.profiles import usable_profile
from studio.tone_mapping.xmp_iptc import graded_iptc

Pixels = NDArray[Any]

_LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383}
_MOST_PIXELS = 64_000_000  # of what is written in up to 40 bytes a pixel: a function has 3.5 GB


def output_format(header: ImageHeader, output: Output) -> Format:
    """Return the format that `output` means for this input.

    Parameters
    ----------
    header : ImageHeader
        Of the input.
    output : Output

    Returns
    -------
    {"jpeg", "png", "webp", "avif", "tiff"}
    """
    if output.format != "auto":
        return output.format
    if header.format == "exr" or header.format == "hdr":
        return "png"
    return header.format


def output_dtype(header: ImageHeader, output: Output) -> np.dtype[Any]:
    """uint8 or uint16: what the pixels of this output should be. AVIF of more than 8 bits is written with 10.

    Parameters
    ----------
    header : ImageHeader
        Of the input.
    output : Output

    Returns
    -------
    numpy.dtype

    Raises
    ------
    OutputError
        ``OUTPUT_BIT_DEPTH``: 16 bits asked of a format that has none.
    """
    kind = output_format(header, output)
    if output.bit_depth == 16 and kind not in ("png", "tiff"):
        raise OutputError(
            "bit_depth",
            "OUTPUT_BIT_DEPTH",
            f"A bit depth of 16 was asked for; {kind.upper()} cannot hold it, PNG and TIFF can.",
        )
    kept = header.bit_depth > 8 and kind in ("png", "tiff", "avif") and output.bit_depth is None
    return np.dtype(np.uint16 if kept or output.bit_depth == 16 else np.uint8)


def check_memory(header: ImageHeader, output: Output) -> None:
    """Refuse an output that takes too much memory to write, before any pixel is decoded.

    Parameters
    ----------
    header : ImageHeader
        Of the input.
    output : Output

    Raises
    ------
    OutputError
        ``OUTPUT_TOO_LARGE``, or ``OUTPUT_BIT_DEPTH`` as of `output_dtype`.
    """
    kind = output_format(header, output)
    if kind in ("avif", "webp") and header.has_alpha:
        what, instead = f"{kind.upper()} with alpha", "or PNG or TIFF"
    elif kind == "avif" and output_dtype(header, output) == np.uint16:
        what, instead = "AVIF of more than 8 bits", "a bit_depth of 8, or PNG or TIFF"
    else:
        return
    width, height = output.fitted_size(header.displayed_size)
    if width * height > _MOST_PIXELS:
        raise OutputError(
            "format",
            "OUTPUT_TOO_LARGE",
            f"{what} is written up to {_MOST_PIXELS:,} pixels; the picture would have {width} x {height} = "
            f"{width * height:,}. Ask for a smaller max_size, {instead}.",
        )


def encode(pixels: Pixels, alpha: Pixels | None, header: ImageHeader, output: Output) -> bytes:
    """Write a picture.

    Parameters
    ----------
    pixels : ndarray
        (h, w, 3) BGR, uint8 or uint16; dithered where the output has fewer bits.
    alpha : ndarray | None
        (h, w), uint8 or uint16. JPEG has none: there the picture is laid over white.
    header : ImageHeader
        Of the input: its EXIF (orientation reset to upright, thumbnail left out), XMP (as `graded_xmp` has it) and RGB
        profile are kept, in JPEG and TIFF its IPTC, and in JPEG, PNG and TIFF its resolution.
    output : Output
        `max_size` is the pipeline's affair: pixels are written at the size that they have.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    OutputError
        ``OUTPUT_BIT_DEPTH``, or ``OUTPUT_DIMENSIONS`` or ``OUTPUT_PROFILE`` where the format cannot hold a side or a
        profile this long.
    """
    kind, dtype = output_format(header, output), output_dtype(header, output)
    height, width = pixels.shape[:2]
    if max(height, width) > _LONGEST_SIDE.get(kind, max(height, width)):
        raise OutputError(
            "format",
            "OUTPUT_DIMENSIONS",
            f"{kind.upper()} holds sides up to {_LONGEST_SIDE[kind]:,} pixels; the picture is {width} x {height}.",
        )
    pixels = with_dtype(pixels, dtype)
    if alpha is not None:
        alpha = _alpha_with_dtype(alpha, dtype)
        pixels = _over_white(pixels, alpha) if kind == "jpeg" else cv2.merge([*cv2.split(pixels), alpha])
    exif = xmp = iptc = None
    if not output.strip_metadata:
        exif, xmp, iptc = upright_exif(header.exif), _xmp(header, (width, height)), _iptc(header)
    profile = usable_profile(header.icc_profile)

    if kind == "jpeg":
        if profile and len(profile) > JPEG_PROFILE_BYTES:
            raise OutputError(
                "format",
                "OUTPUT_PROFILE",
                f"JPEG holds a colour profile of {JPEG_PROFILE_BYTES:,} bytes; the picture's has {len(profile):,}; "
                "PNG and TIFF hold it.",
            )
        return add_to_jpeg(encode_jpeg(pixels, output.quality), exif, profile, header.dpi, xmp=xmp, iptc=iptc)
    if kind == "tiff":
        tiff, has_alpha = cv2.imencode(".tiff", pixels)[1].tobytes(), alpha is not None
        return add_to_tiff(tiff, exif, profile, header.dpi, has_alpha=has_alpha, xmp=xmp, iptc=iptc)
    options = {
        "png": [],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, output.quality],
        "avif": [cv2.IMWRITE_AVIF_QUALITY, output.quality],
    }[kind]
    if kind == "avif" and dtype == np.uint16:
        pixels, options = np.right_shift(pixels, 6), [*options, cv2.IMWRITE_AVIF_DEPTH, 10]
    blocks = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_ICCP: profile}
    if kind == "png":
        return add_to_png(_encode_with_metadata(".png", pixels, options, blocks), header.dpi, xmp)
    return _encode_with_metadata(f".{kind}", pixels, options, blocks | {cv2.IMAGE_METADATA_XMP: xmp})


def with_dtype(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Pixels (h, w, 3) as uint8 (dithered) or uint16.

    Parameters
    ----------
    pixels : ndarray
        uint8 or uint16; left as they are.
    dtype : numpy.dtype
        Of uint8 or uint16.

    Returns
    -------
    ndarray
        The pixels themselves where they have that type.
    """
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(257)
    narrow, pattern = np.empty(pixels.shape, np.uint8), dither_pattern(pixels.shape[1])
    for top in range(0, len(pixels), TILE):
        wide = pixels[top : top + TILE]
        fine = wide - (wide >> 8)  # 257 times a code to 256 times the code, exactly
        dither_to_8_bits(fine, narrow[top : top + TILE], pattern[: len(fine)])
    return narrow


def _alpha_with_dtype(alpha: Pixels, dtype: np.dtype[Any]) -> Pixels:
    if alpha.dtype == dtype:
        return alpha
    if dtype == np.uint16:
        return alpha.astype(np.uint16) * np.uint16(257)
    narrow: Pixels = cv2.convertScaleAbs(alpha, alpha=1 / 257)  # rounds
    return narrow


def _over_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Composite over white, strip by strip: in float32 a whole picture would be four times its size."""
    white, composed = np.iinfo(pixels.dtype).max, np.empty_like(pixels)
    for top in range(0, len(pixels), TILE):
        rows = slice(top, top + TILE)
        share = alpha[rows, :, None].astype(np.float32) / np.iinfo(alpha.dtype).max
        composed[rows] = np.rint(white - (white - pixels[rows].astype(np.float32)) * share)
    return composed


def _xmp(header: ImageHeader, size: tuple[int, int]) -> bytes | None:
    if header.xmp is None:
        return None
    # Imported here: it loads an XML parser, and most pictures have no XMP.
    from studio.tone_mapping.xmp_metadata import graded_xmp

    is_same_frame = header.orientation == 1 and size == (header.width, header.height)
    return graded_xmp(header.xmp, is_same_frame=is_same_frame)


def _iptc(header: ImageHeader) -> bytes | None:
    return graded_iptc(header.iptc) if header.iptc else None


def _encode_with_metadata(extension: str, pixels: Pixels, options: list[int], blocks: dict[int, bytes | None]) -> bytes:
    present = {kind: np.frombuffer(block, np.uint8) for kind, block in blocks.items() if block}
    _, encoded = cv2.imencodeWithMetadata(extension, pixels, list(present), list(present.values()), options)
    return bytes(encoded)
