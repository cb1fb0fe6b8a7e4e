"""Bytes to upright BGR pixels."""

import os
import struct
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms

from studio.tone_mapping.errors import InvalidImageError
from studio.tone_mapping.guided import STRIP
from studio.tone_mapping.hdr import REC709, mend_green, to_rec709, tone_map
from studio.tone_mapping.pillow_files import JpegFile, PngFile, TiffFile
from studio.tone_mapping.probe import ImageHeader, ends_early, undecodable
from studio.tone_mapping.profiles import grey_profile, light_profile
from studio.tone_mapping.scene_files import plain_radiance
from studio.tone_mapping.tiff_files import lacks_pieces

Pixels = NDArray[Any]

_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}

# Shares of red, green and blue in luma by the matrices of ITU-T H.273, table 4: BT.709, unspecified, BT.601's two kinds
# and BT.2020. What says nothing is read as BT.601.
_BT601 = (0.299, 0.587, 0.114)
_LUMA = {1: (0.2126, 0.7152, 0.0722), 2: _BT601, 5: _BT601, 6: _BT601, 9: (0.2627, 0.6780, 0.0593)}

_GREY_MODES = ("L", "LA", "I;16", "I;16B")  # the last is a big-endian TIFF's

# EXIF orientation -> what makes the stored picture upright (EXIF 2.32, tag 0x0112).
_UPRIGHT: dict[int, Callable[[Any], Any]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: cv2.transpose,
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.rotate(cv2.transpose(image), cv2.ROTATE_180),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


class Photo(NamedTuple):
    """A decoded picture, upright.

    Attributes
    ----------
    pixels : ndarray
        (h, w, 3) BGR, uint8 or uint16, display-encoded. A wide-gamut picture stays in its own space: the profile in
        `header` is embedded in the output again, so that its colours do not shift.
    alpha : ndarray | None
        (h, w), the type of `pixels`, straight (not premultiplied); no grade touches it.
    header : ImageHeader
        As read, but for what decoding changed: CMYK and grey profiles are gone with the conversion to sRGB, and a
        profile of light has become one of the same colours with sRGB's curve.
    """

    pixels: Pixels
    alpha: Pixels | None
    header: ImageHeader


def decode(data: bytes, header: ImageHeader, min_side: int | None = None) -> Photo:
    """Decode a picture that `probe` has read and `check_limits` has passed.

    Grey becomes three equal channels, palettes and transparent colours are resolved, CMYK is converted to sRGB by its
    embedded profile (without one: plainly), the EXIF orientation is applied. Values that are light, by their profile,
    get sRGB's curve, for sliders are about values for display. The light of OpenEXR and Radiance HDR is compressed into
    16 bits of sRGB.

    Parameters
    ----------
    data : bytes
    header : ImageHeader
    min_side : int | None
        Pixels of the longer side that are enough: a JPEG of twice, four or eight times that comes at a half, a quarter
        or an eighth of its size straight from its DCT coefficients, in less than half the time. Others come as they
        are.

    Returns
    -------
    Photo

    Raises
    ------
    InvalidImageError
        ``IMAGE_TRUNCATED`` or ``IMAGE_CORRUPT``.
    """
    if header.format in ("exr", "hdr"):
        return _decode_scene(data, header)
    if header.format == "tiff" and lacks_pieces(data):  # both decoders would make them up
        raise undecodable(data, "tiff")
    grey = header.icc_profile if header.mode in _GREY_MODES and _is_grey_profile(header.icc_profile) else None
    if _is_for_pillow(header):
        stored, header = _decode_with_pillow(data, header)
    else:
        stored, header = _decode_with_opencv(data, header, reduction(header, min_side))
    if grey is not None:
        stored, header = _grey_to_srgb(stored, grey), header._replace(icc_profile=None)
    light = light_profile(header.icc_profile)
    if light is not None:
        # Where LittleCMS cannot read the curve, as one of more than 32,767 points, values are taken for display's.
        with suppress(InvalidImageError):
            stored, header = _grey_to_srgb(stored, light.grey), header._replace(icc_profile=light.display)
    if stored.ndim == 2:
        stored = cv2.cvtColor(stored, cv2.COLOR_GRAY2BGR)
    if header.orientation > 1 and header.format != "tiff":  # both decoders turn TIFFs upright by themselves
        stored = _UPRIGHT[header.orientation](stored)
    if stored.shape[2] == 4 and header.has_alpha:
        return Photo(cv2.cvtColor(stored, cv2.COLOR_BGRA2BGR), cv2.extractChannel(stored, 3), header)
    return Photo(np.ascontiguousarray(stored[..., :3]), None, header)


def reduction(header: ImageHeader, min_side: int | None) -> int:
    """By how much `decode` divides a picture's sides: 1, 2, 4 or 8.

    Parameters
    ----------
    header : ImageHeader
    min_side : int | None
        As for `decode`.

    Returns
    -------
    int
    """
    if header.format != "jpeg" or _is_for_pillow(header) or min_side is None:
        return 1
    return max((part for part in _REDUCED if max(header.width, header.height) >= part * min_side), default=1)


def _decode_scene(data: bytes, header: ImageHeader) -> Photo:
    # OpenCV looks at this once, when it meets its first OpenEXR, and reads none without: it is off by default for what
    # hostile files could do to old versions of that library. `setdefault`, so that a deployment can still say 0.
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    plain = plain_radiance(data) if header.format == "hdr" else data
    try:
        scene = _read(plain, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise undecodable(data, header.format) from error
    if scene is None or scene.shape[:2] != (header.height, header.width):
        raise undecodable(data, header.format)
    light, alpha = _light_and_alpha(scene if scene.ndim == 3 else scene[..., None])
    del scene
    if header.has_chroma:
        mend_green(light, header.primaries or REC709)
    if header.primaries is not None:
        to_rec709(light, header.primaries)
    pixels: Pixels = tone_map(light, alpha)
    del light
    turn = _UPRIGHT.get(header.orientation, np.ascontiguousarray)
    if alpha is None:
        return Photo(turn(pixels), None, header._replace(has_alpha=False))
    return Photo(turn(pixels), turn(np.rint(alpha * 65535).astype(np.uint16)), header)


def _light_and_alpha(scene: Pixels) -> tuple[Pixels, Pixels | None]:
    """Take BGR, or grey, and alpha apart, and colours out of their product with alpha.

    OpenEXR lets pixels glow without covering anything. No other format can say so: a picture where that is more than
    an odd pixel (many have an empty alpha channel) is one on black, without alpha. So is one that covers everything.
    """
    height, width, channels = scene.shape
    if channels < 3:
        colours = cv2.merge([scene[..., 0]] * 3)
    elif channels == 3:
        colours = scene
    if channels in (1, 3):
        return colours, None
    alpha = np.clip(scene[..., -1], 0, 1)
    alpha[np.isnan(alpha)] = 0
    glows = (alpha == 0) & (scene[..., channels // 2 - 1] > 0)
    straight = glows.mean() <= 0.001 and alpha.min() < 1
    if channels == 4:
        # Moved together where they are, for another copy of a large picture would be too much: what is written lies
        # before what is still to be read.
        colours = scene.reshape(-1)[: height * width * 3].reshape(height, width, 3)
        for top in range(0, height, STRIP):
            colours[top : top + STRIP] = scene[top : top + STRIP, :, :3].copy()
    if not straight:
        return colours, None
    for top in range(0, height, STRIP):
        strip, share = colours[top : top + STRIP], alpha[top : top + STRIP, :, None]
        np.divide(strip, share, out=strip, where=share > 0)
    return colours, alpha


def _is_for_pillow(header: ImageHeader) -> bool:
    """Whether OpenCV would lose something of this picture.

    OpenCV is several times faster and the only one that reads 16 bits of RGB, but it converts CMYK without a profile,
    and in 8-bit TIFFs premultiplies alpha, misreads the rarer modes, reads no more than one sample beside the colours,
    and refuses tiles whose pixels are no multiple of 1024 and shears others by the orientation.
    """
    if header.bit_depth == 16:
        return False
    if header.mode in ("CMYK", "LAB"):
        return True
    is_plain = header.mode in ("L", "RGB") and header.bit_depth == 8 and not (header.is_tiled or header.has_extras)
    return header.format == "tiff" and not is_plain


def _is_grey_profile(profile: bytes | None) -> bool:
    return profile is not None and profile[16:20] == b"GRAY"


def _decode_with_opencv(data: bytes, header: ImageHeader, reduction: int) -> tuple[Pixels, ImageHeader]:
    image: Pixels | None
    if header.format == "jpeg" and ends_early(data, "jpeg"):  # OpenCV would make the rest up
        raise undecodable(data, "jpeg")
    width, height = -(-header.width // reduction), -(-header.height // reduction)
    try:
        if header.format == "avif":
            image, kinds, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED)
            found = dict(zip(kinds, blocks, strict=True))
            if cv2.IMAGE_METADATA_EXIF in found:
                header = header._replace(exif=bytes(found[cv2.IMAGE_METADATA_EXIF]).removeprefix(b"Exif\0\0"))
        else:
            # IMREAD_UNCHANGED, too, leaves the orientation to us.
            flags = _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION if reduction > 1 else cv2.IMREAD_UNCHANGED
            # TIFFs are turned upright while they are read, which a new array would have to be had for.
            encoded = np.frombuffer(data, np.uint8)
            image = cv2.imdecode(encoded, flags) if header.format == "tiff" else _read(data, flags)
    except cv2.error as error:
        raise undecodable(data, header.format) from error
    if image is None or image.size != width * height * (1 if image.ndim == 2 else image.shape[2]):
        raise undecodable(data, header.format)
    if header.format == "png" and header.has_alpha and header.mode in ("1", "L", "I;16") and image.ndim == 2:
        image = _with_transparent_grey(image, data, header)
    if header.is_inverted:
        image = np.bitwise_not(image, out=image)
    if header.is_premultiplied:
        _unmultiply(image)
    if header.video_matrix is not None:
        image = _from_video(image, header)
    if header.format == "avif" and header.bit_depth > 8:  # its 10 and 12 bits come in the low end of 16
        image = cv2.convertScaleAbs(image) if image.dtype == np.uint8 else _widen(image, header.bit_depth)
    return image, header


def _read(data: bytes, flags: int) -> Pixels | None:
    """Decode by OpenCV, straight into an array of numpy's; None for what it cannot read.

    `cv2.imdecode` decodes into memory of its own and copies from there: half as long again, and twice the memory.
    `cv2.imread` takes an array, from whose allocator the pixels' is had, whatever its size is; but it reads files only.
    """
    with TemporaryFile() as file:
        file.write(data)
        file.flush()  # all of it, or an error: without a buffer, a full disk would keep a part in silence
        image = cv2.imread(f"/proc/self/fd/{file.fileno()}", np.empty(0, np.uint8), flags)
    return None if image is None or image.size == 0 else image


def _widen(image: Pixels, bit_depth: int) -> Pixels:
    """Bits repeated from the top, so that full stays full: 10-bit 1023 becomes 65535."""
    return (image << (16 - bit_depth)) | (image >> (2 * bit_depth - 16))


def _from_video(image: Pixels, header: ImageHeader) -> Pixels:
    """Mend what OpenCV makes of an AVIF's values of video: it leaves grey as it is, and blue of 8 bits short.

    libyuv, which it converts 8 bits with, has no factor above 2: it takes that for the 2.11 of BT.709 by which blue
    differs from luma.
    """
    if header.mode == "L":
        step = 2 ** (header.bit_depth - 8)
        codes = np.arange(256 * step)
        full = np.rint((codes - 16 * step) / (219 * step) * codes[-1]).clip(0, codes[-1])
        return np.take(full.astype(image.dtype), image, mode="clip")  # the bits may be told wrongly
    if header.bit_depth > 8 or header.video_matrix not in _LUMA:
        return image
    red, green, blue = _LUMA[header.video_matrix]
    factor = 255 / 224 * 2 * (1 - blue)
    # What blue differs from luma by, in terms of what came out.
    share = (factor - 2) / (2 * (1 - blue) + blue * factor)
    matrix = np.eye(image.shape[2])
    matrix[0, :3] += share * np.array([1 - blue, -green, -red])
    mended: Pixels = cv2.transform(image, matrix)
    return mended


def _with_transparent_grey(image: Pixels, data: bytes, header: ImageHeader) -> Pixels:
    """Add the alpha that OpenCV leaves out: none where a pixel has the one grey that the PNG names, by its bits."""
    grey = PngFile(BytesIO(data)).info["transparency"]
    full = np.iinfo(image.dtype).max
    if header.mode == "L":  # of 2 to 8 bits, here made 8; Pillow has done so with one bit
        levels = 2**header.bit_depth - 1
        grey = (grey & levels) * (255 // levels)
    return cv2.merge([image, image, image, np.multiply(image != grey, full, dtype=image.dtype)])


def _unmultiply(image: Pixels) -> None:
    """Divide the colours of uint16 by their alpha, where they are."""
    for top in range(0, len(image), STRIP):
        strip = image[top : top + STRIP]
        straight = strip[..., :3] * (np.float32(65535) / np.maximum(strip[..., 3:], 1))
        strip[..., :3] = np.rint(np.minimum(straight, 65535))


def _decode_with_pillow(data: bytes, header: ImageHeader) -> tuple[Pixels, ImageHeader]:
    file = JpegFile(BytesIO(data)) if header.format == "jpeg" else TiffFile(BytesIO(data))
    try:
        file.load()
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error) as error:
        raise undecodable(data, header.format) from error
    image: Image.Image = file
    if header.format == "jpeg" and image.mode == "CMYK" and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for Adobe's, which are stored as negatives
    mode = "RGBA" if header.has_alpha else "RGB"
    if header.icc_profile and image.mode == "CMYK":
        image = _to_srgb(image, header.icc_profile)
    colours = np.asarray(image.convert(mode))
    order = cv2.COLOR_RGBA2BGRA if mode == "RGBA" else cv2.COLOR_RGB2BGR
    keeps_profile = header.icc_profile is not None and header.icc_profile[16:20] == b"RGB "
    return cv2.cvtColor(colours, order), header if keeps_profile else header._replace(icc_profile=None)


def _grey_to_srgb(stored: Pixels, profile: bytes) -> Pixels:
    """Give grey, or each colour, the tones of sRGB by a table of all that a value can be; a fourth channel is alpha."""
    levels = np.iinfo(stored.dtype).max + 1
    step = 65535 // (levels - 1)
    ramp = Image.fromarray((np.arange(levels, dtype=np.uint16) * np.uint16(step)).reshape(-1, 256))
    to = ImageCms.ImageCmsProfile(BytesIO(grey_profile()))
    # Without NOOPTIMIZE, LittleCMS interpolates in a coarse table, and dark tones are off by 4 %.
    tones = np.asarray(_converted(ramp, profile, to, "I;16", "grey", ImageCms.Flags.NOOPTIMIZE)).ravel()
    table = np.stack([np.rint(tones / step)] * 3 + [np.arange(levels)], axis=-1).astype(stored.dtype)
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    return cv2.LUT(stored, table[None, :, :channels])


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    return _converted(image, profile, ImageCms.createProfile("sRGB"), "RGB", image.mode)


def _converted(
    image: Image.Image, profile: bytes, to: Any, mode: str, name: str, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Image.Image:
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            to,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode=mode,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | flags,
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise InvalidImageError(
            "IMAGE_CORRUPT", f"The embedded {name} colour profile cannot be used: {error}"
        ) from error
    return cast(Image.Image, converted)  # it would be None only if it converted in place
