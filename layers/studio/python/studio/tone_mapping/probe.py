"""What a file is, read from its header: nothing here decodes a pixel."""

import struct
from io import BytesIO
from typing import Any, NamedTuple

from PIL import ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from studio.tone_mapping.errors import ImageTooLargeError, InvalidImageError, UnsupportedImageError, unsupported
from studio.tone_mapping.formats import Format, InputFormat, SceneFormat
from studio.tone_mapping.jpeg_files import check_jpeg_complexity, check_jpeg_depth, jpeg_ends_early
from studio.tone_mapping.metadata import (
    ORIENTATION,
    Dpi,
    camera_profile,
    exif_orientation,
    own_exif,
    tiff_directory,
)
from studio.tone_mapping.pillow_files import JpegFile, PngFile, TiffFile
from studio.tone_mapping.profiles import cicp_profile, told_profile
from studio.tone_mapping.scene_files import (
    SceneHeader,
    exr_ends_early,
    radiance_ends_early,
    read_exr,
    read_radiance,
)
from studio.tone_mapping.tiff_files import count_tiff_pages, tiff_depth, tiff_ends_early
from studio.tone_mapping.xmp_iptc import (
    IPTC_TAG,
    PNG_KEYWORD,
    XMP_TAG,
    avif_xmp,
    bounded,
    jpeg_iptc,
    png_xmp,
    tiff_block,
)

_LONGEST_TEXT = 100  # of a file's own words in a message

_NAMES: dict[InputFormat, str] = {"webp": "WebP", "exr": "OpenEXR", "hdr": "Radiance HDR"}

# The plugins are called by class: Image.open would judge the size by Pillow's own limit, and we have ours.
_PLUGINS: dict[Format, type[ImageFile.ImageFile]] = {
    "jpeg": JpegFile,
    "png": PngFile,
    "webp": WebPImageFile,
    "tiff": TiffFile,
}


class Limits(NamedTuple):
    """The largest picture that is decoded; some kinds take several times the memory.

    These are the light of OpenEXR and Radiance HDR, and AVIF with alpha: 100 MP of 10 bits came to 3.8 GB.
    """

    max_pixels: int = 100_000_000
    max_scene_pixels: int = 40_000_000
    max_alpha_avif_pixels: int = 64_000_000
    max_dimension: int = 30_000


class ImageHeader(NamedTuple):
    """What a file says about itself.

    Attributes
    ----------
    format : InputFormat
        By content, whatever the file is called.
    width, height : int
        In pixels, as stored: before the orientation is applied.
    mode : str
        Pillow's name for the stored colours: ``1 L LA P RGB RGBA CMYK ...``.
    bit_depth : int
        Bits of a channel: 1..16. OpenEXR and Radiance HDR say 16: what their light is compressed into.
    frames : int
        Pictures in the file; more than one is an animation (or a TIFF of several pages).
    orientation : int
        EXIF orientation 1..8; 1 where the file has none.
    icc_profile, exif : bytes | None
        As embedded; `exif` is the TIFF structure without the ``Exif`` prefix.
    xmp, iptc : bytes | None
        As embedded, damaged or not; IPTC of JPEG and TIFF.
    dpi : (float, float) | None
        Pixels an inch, across and down as displayed, in print; EXIF may have its own.
    primaries : tuple[float, ...] | None
        Of OpenEXR and Radiance HDR that say so: x and y of red, green, blue and white.
    is_inverted, is_premultiplied : bool
        What OpenCV leaves as it is in a TIFF of 16 bits: zero is white; the colours are multiplied by alpha.
    is_tiled : bool
        Whether a TIFF has tiles instead of strips.
    has_extras : bool
        Whether a TIFF names samples beside its colours, be they alpha or not.
    has_chroma : bool
        Whether an OpenEXR has luminance and chroma instead of red, green and blue.
    video_matrix : int | None
        Of an AVIF that says to hold values of video, 16 to 235 of 255: its matrix, by its number in ITU-T H.273,
        table 4.
    """

    format: InputFormat
    width: int
    height: int
    mode: str
    bit_depth: int
    has_alpha: bool
    frames: int = 1
    orientation: int = 1
    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: Dpi = None
    primaries: tuple[float, ...] | None = None
    is_inverted: bool = False
    is_premultiplied: bool = False
    is_tiled: bool = False
    has_extras: bool = False
    has_chroma: bool = False
    video_matrix: int | None = None

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Width and height as a viewer shows them."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def probe(data: bytes) -> ImageHeader:
    """Read the header of an encoded picture.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    ImageHeader

    Raises
    ------
    UnsupportedImageError
        ``UNSUPPORTED_FORMAT``: the content is none of the accepted formats, whatever the file was called.
    InvalidImageError
        ``IMAGE_CORRUPT`` or ``IMAGE_TRUNCATED``: an accepted format whose header cannot be read.
    """
    kind = _sniff(data)
    try:
        if kind == "avif":
            return _probe_avif(data)
        if kind == "exr":
            return _probe_scene(read_exr(data), kind)
        if kind == "hdr":
            return _probe_scene(read_radiance(data), kind)
        return _probe_with_pillow(data, kind)
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, EOFError, struct.error) as error:
        raise undecodable(data, kind) from error


def check_limits(header: ImageHeader, limits: Limits) -> None:
    """Refuse a picture that is too large or has more than one frame, before any pixel is decoded.

    Parameters
    ----------
    header : ImageHeader
    limits : Limits

    Raises
    ------
    ImageTooLargeError
        ``IMAGE_TOO_LARGE`` by pixels or ``IMAGE_DIMENSIONS`` by a side.
    InvalidImageError
        ``IMAGE_ANIMATED``.
    """
    width, height = header.width, header.height
    most, kind = limits.max_pixels, ""
    if header.format in ("exr", "hdr"):
        most, kind = min(most, limits.max_scene_pixels), " of scene light"
    elif header.format == "avif" and header.has_alpha:
        most, kind = min(most, limits.max_alpha_avif_pixels), " of AVIF with alpha"
    if width * height > most:
        raise ImageTooLargeError(
            "IMAGE_TOO_LARGE",
            f"The picture has {width} x {height} = {width * height:,} pixels{kind}; the limit is {most:,}.",
        )
    if max(width, height) > limits.max_dimension:
        raise ImageTooLargeError(
            "IMAGE_DIMENSIONS",
            f"The picture is {width} x {height} pixels; the longer side may have {limits.max_dimension:,} at most.",
        )
    if header.frames > 1:
        what = "pages" if header.format == "tiff" else "frames: it is animated"
        raise InvalidImageError(
            "IMAGE_ANIMATED", f"The {header.format.upper()} has {header.frames} {what}. Send a single picture."
        )


def undecodable(data: bytes, kind: InputFormat) -> InvalidImageError:
    """Name why a picture of an accepted format could not be read: it ends early, or it is damaged.

    Parameters
    ----------
    data : bytes
        The file.
    kind : InputFormat
        What its first bytes say it is.

    Returns
    -------
    InvalidImageError
        To be raised: ``IMAGE_TRUNCATED`` or ``IMAGE_CORRUPT``.
    """
    name = _NAMES.get(kind, kind.upper())
    if ends_early(data, kind):
        return InvalidImageError("IMAGE_TRUNCATED", f"The {name} ends before its picture does ({len(data):,} bytes).")
    return InvalidImageError("IMAGE_CORRUPT", f"The {name} is damaged and cannot be decoded.")


def _sniff(data: bytes) -> InputFormat:
    """Tell the format by the first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = data[8 : int.from_bytes(data[:4], "big")]
        if b"avif" in brands or b"avis" in brands:
            return "avif"
        raise unsupported("HEIC, or another ISO media file")
    if data[:4] in (b"II+\0", b"MM\0+"):
        raise unsupported("BigTIFF, which is for files beyond 4 GB")
    if data[:4] in (b"II*\0", b"MM\0*"):
        if data[8:10] == b"CR":
            raise unsupported("camera RAW")
        return "tiff"
    if data.startswith(b"\x76\x2f\x31\x01"):
        return "exr"
    if data.startswith((b"#?RADIANCE", b"#?RGBE")):
        return "hdr"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        raise unsupported("GIF")
    if data[:2] == b"BM":
        raise unsupported("BMP")
    raise unsupported("not a picture of a kind that is known here" if data else "empty")


def _probe_with_pillow(data: bytes, kind: Format) -> ImageHeader:
    bit_depth = 8
    is_inverted = is_premultiplied = is_tiled = has_extras = False
    chunks: dict[bytes, bytes] = {}
    xmp = iptc = None
    if kind == "jpeg":
        check_jpeg_complexity(data)
    elif kind == "png":
        chunks = _chunks(data)
        bit_depth = data[24]  # in IHDR: Pillow's mode cannot say 16 bits of RGB, nor of grey with alpha
    elif kind == "tiff":
        tags = tiff_directory(data)
        bit_depth = tiff_depth(tags)
        is_inverted = bit_depth == 16 and tags.get(262) == 0
        is_premultiplied = bit_depth == 16 and tags.get(277) == 4 and tags.get(338, (0,))[0] == 1
        is_tiled, has_extras = 322 in tags, 338 in tags
    try:
        image = _PLUGINS[kind](BytesIO(data))
    except SyntaxError as error:
        if kind == "jpeg":
            check_jpeg_depth(data)
        if str(error) == "unknown pixel mode":
            raise UnsupportedImageError(
                "UNSUPPORTED_FORMAT",
                "The TIFF holds samples of a kind that is not read here. "
                "Accepted are grey, palettes, RGB, YCbCr, CMYK and Lab, and alpha beside grey, straight, or RGB.",
            ) from error
        raise
    if isinstance(image, TiffFile):
        width, height = image.tag_v2[256], image.tag_v2[257]  # Pillow's size is turned upright already
        frames, exif, orientation = count_tiff_pages(data), own_exif(data), image.tag_v2.get(ORIENTATION, 1)
        xmp, iptc = tiff_block(data, XMP_TAG), tiff_block(data, IPTC_TAG)
    else:
        width, height = image.size
        frames = getattr(image, "n_frames", 1)
        exif = chunks.get(b"eXIf") or image.info.get("exif")  # Pillow finds a PNG's only before the pixels
        exif = exif.removeprefix(b"Exif\0\0") if exif else None
        orientation = exif_orientation(exif)
        xmp = bounded(image.info.get("xmp"))
    profile, mode = image.info.get("icc_profile"), image.mode
    if isinstance(image, JpegFile):
        profile = profile or (camera_profile(exif) if mode == "RGB" else None)
        iptc = jpeg_iptc(image.applist)
    if kind == "png":
        xmp = png_xmp(chunks[b"iTXt"]) if b"iTXt" in chunks else None
        mode = "LA" if data[25] == 4 else mode
        profile = _png_profile(chunks.get(b"cICP", b""), image.info)
    orientation = orientation if orientation in range(1, 9) else 1
    return ImageHeader(
        format=kind,
        width=width,
        height=height,
        mode=mode,
        bit_depth=bit_depth,
        has_alpha=image.mode.endswith("A") or "transparency" in image.info,
        frames=frames,
        orientation=orientation,
        icc_profile=profile or None,
        exif=exif or None,
        xmp=xmp,
        iptc=iptc,
        dpi=_displayed_dpi(image.info.get("dpi"), orientation),
        is_inverted=is_inverted,
        is_premultiplied=is_premultiplied,
        is_tiled=is_tiled,
        has_extras=has_extras,
    )


_DPI = (2, 65_535)  # Pillow says 1 of a TIFF that says nothing; JFIF holds no more


def _displayed_dpi(stored: Any, orientation: int) -> Dpi:
    """Return the resolution of the picture upright; None for what no printer has, or is none."""
    across, down = stored or (0, 0)
    if not (_DPI[0] <= across <= _DPI[1] and _DPI[0] <= down <= _DPI[1]):
        return None
    return (float(down), float(across)) if orientation >= 5 else (float(across), float(down))


_KEPT_CHUNKS = {b"eXIf": b"", b"cICP": b"", b"iTXt": PNG_KEYWORD}  # and what they begin with


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return those of a PNG's chunks that are kept, the first of each kind, wherever they are.

    Raises ValueError where one is longer than the file: OpenCV would allocate up to 4 GB for it.
    """
    at, kind, kept = 8, b"", dict[bytes, bytes]()
    while at + 12 <= len(data) and kind != b"IEND":
        kind, body = data[at + 4 : at + 8], at + 8
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind not in kept and kind in _KEPT_CHUNKS and data.startswith(_KEPT_CHUNKS[kind], body):
            kept[kind] = data[body : at - 4]
    if at > len(data):
        raise ValueError("a chunk ends beyond the file")
    return kept


_UNSPECIFIED = 2  # of CICP's primaries and transfer (ITU-T H.273)
_LEAST_GAMMA = 0.25  # of a PNG, below which it is a mistake
_LINEAR = 0.75  # from here on a PNG's gamma means light, not what a screen is sent: Macintoshes once had 0.56


def _png_profile(cicp: bytes, info: dict[Any, Any]) -> bytes | None:
    """Return the profile of what tells a PNG's colours: cICP before iCCP, sRGB, and gAMA with or without cHRM."""
    if len(cicp) == 4:
        if cicp[2:] != b"\0\1":
            raise UnsupportedImageError(
                "UNSUPPORTED_FORMAT", "The PNG holds values of video. Accepted are RGB and grey of the full range."
            )
        profile = _cicp_profile(cicp[0], cicp[1], "png")
        if profile or _UNSPECIFIED not in cicp[:2]:
            return profile
    if "icc_profile" in info or "srgb" in info:
        embedded: bytes | None = info.get("icc_profile")
        return embedded
    gamma = info.get("gamma", 0)
    if gamma > _LINEAR:
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            "The PNG holds linear light, by its gAMA. Accepted are values for display; of light, "
            "OpenEXR and Radiance HDR.",
        )
    return told_profile(info.get("chromaticity", ())[2:], 1 / gamma) if gamma > _LEAST_GAMMA else None  # behind white


def _cicp_profile(primaries: int, transfer: int, kind: Format) -> bytes | None:
    try:
        return cicp_profile(primaries, transfer)
    except ValueError as error:
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            f"The {kind.upper()} has the colours of CICP's primaries {primaries} and transfer {transfer}. Accepted are "
            "sRGB, Display P3, BT.601, BT.709 and BT.2020, without HDR (PQ, HLG) or linear light.",
        ) from error


# By MIAF (ISO/IEC 23000-22), and as HEVC names it.
_AVIF_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


def _probe_avif(data: bytes) -> ImageHeader:
    """Read the properties of an AVIF's primary picture from its `meta` box (ISO/IEC 23008-12, 6.5).

    Read by hand, so that the Lambda layer can do without Pillow's AVIF plugin: 5 MB of libavif beside OpenCV's own.
    EXIF comes with the pixels, from OpenCV.
    """
    meta = _top_level_box(data, b"meta")
    # A tiled picture has a size for its tiles too: the whole is the largest.
    sizes = [struct.unpack(">II", box[4:12]) for box in _boxes(meta, b"ispe")]
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    codings = _boxes(meta, b"av1C")
    av1c = codings[0]
    high, twelve = av1c[2] & 0x40, av1c[2] & 0x20
    colours = _boxes(meta, b"colr")
    profile = next((box[4:] for box in colours if box[:4] in (b"prof", b"rICC")), None)
    told = next((box for box in colours if box[:4] == b"nclx"), None)  # the picture's own comes first
    if profile is None and told is not None:
        primaries, transfer = struct.unpack_from(">HH", told, 4)
        profile = _cicp_profile(primaries, transfer, "avif")
    video_matrix = int.from_bytes(told[8:10], "big") if told is not None and not told[10] & 0x80 else None
    has_alpha = any(name in meta for name in _AVIF_ALPHA)
    is_grey = all(coding[2] & 0x10 for coding in codings)  # alpha is, too
    if is_grey and has_alpha:
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT", "The AVIF holds grey with alpha. Accepted are grey, RGB, and RGB with alpha."
        )
    return ImageHeader(
        format="avif",
        width=width,
        height=height,
        mode="RGBA" if has_alpha else "L" if is_grey else "RGB",
        bit_depth=12 if twelve else 10 if high else 8,
        has_alpha=has_alpha,
        frames=2 if data[8:12] == b"avis" else 1,
        orientation=_avif_orientation(meta),
        icc_profile=profile,
        xmp=avif_xmp(data, _boxes(meta, b"infe"), *(b"".join(_boxes(meta, name)[:1]) for name in (b"iloc", b"idat"))),
        video_matrix=video_matrix,
    )


_DWAB = 9  # the last compression of OpenEXR 3.3, as it numbers them


def _probe_scene(scene: SceneHeader, kind: SceneFormat) -> ImageHeader:
    """Refuse what OpenCV reads not or wrongly, and deep pictures: how much memory they take no header says."""
    if scene.is_deep:
        raise UnsupportedImageError("UNSUPPORTED_FORMAT", "The OpenEXR is a deep one. Accepted are flat ones.")
    if scene.compression > _DWAB:
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            "The OpenEXR is compressed in a way that is not read here, as HTJ2K. "
            "Accepted are none, RLE, ZIP, PIZ, PXR24, B44 and DWA.",
        )
    colours = scene.channels.keys() & {"R", "G", "B", "Y", "RY", "BY"}
    if not colours & {"R", "G", "B"} and colours not in ({"Y"}, {"Y", "RY", "BY"}):
        names = ", ".join(list(scene.channels)[:20])
        shown = names if len(names) <= _LONGEST_TEXT else f"{names[: _LONGEST_TEXT - 1]}…"
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT", f"The OpenEXR has the channels {shown}. Accepted are R, G and B, or Y, RY and BY."
        )
    has_chroma = colours == {"Y", "RY", "BY"}
    if has_chroma and not scene.is_at_origin:  # OpenCV writes beyond its memory
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            "The OpenEXR has luminance and chroma (Y, RY, BY), and its data window does not begin at 0. "
            "Accepted are such as do, or R, G and B.",
        )
    for name in "RGBYA":
        if scene.channels.get(name, (1, 1)) != (1, 1):
            raise UnsupportedImageError(
                "UNSUPPORTED_FORMAT", f"The OpenEXR's channel {name} is subsampled. RY and BY may be, no others."
            )
    return ImageHeader(
        format=kind,
        width=scene.width,
        height=scene.height,
        mode="RGBA" if "A" in scene.channels else "RGB",
        bit_depth=16,
        has_alpha="A" in scene.channels,
        orientation=scene.orientation,
        primaries=scene.primaries,
        has_chroma=has_chroma,
    )


def _top_level_box(data: bytes, name: bytes) -> bytes:
    """Return the first box of a name; one inside another does not count. Raises ValueError where there is none."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            break
        if data[at + 4 : at + 8] == name:
            return data[at : at + size]
        at += size
    raise ValueError(f"no {name.decode()} box")


def _boxes(meta: bytes, name: bytes) -> list[bytes]:
    """Return the bodies of every box of a name; boxes do not overlap, so that all are no more than `meta`."""
    bodies, at = [], meta.find(name)
    while at >= 4:
        size = int.from_bytes(meta[at - 4 : at], "big")
        end = at - 4 + size
        if size >= 8 and end <= len(meta):
            bodies.append(meta[at + 4 : end])
        else:
            end = at + 4
        at = meta.find(name, end)
    return bodies


def _avif_orientation(meta: bytes) -> int:
    """EXIF orientation that equals the `irot` (quarter turns anticlockwise) and `imir` (mirror axis) properties."""
    turns = next((box[0] & 3 for box in _boxes(meta, b"irot") if box), 0)
    axis = next((box[0] & 1 for box in _boxes(meta, b"imir") if box), None)
    return {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}[axis][turns]


def ends_early(data: bytes, kind: InputFormat) -> bool:
    """Tell whether a file ends before its picture does.

    Parameters
    ----------
    data : bytes
    kind : InputFormat

    Returns
    -------
    bool
    """
    if kind == "exr":
        return exr_ends_early(data)
    if kind == "hdr":
        return radiance_ends_early(data)
    if kind == "jpeg":
        return jpeg_ends_early(data)
    if kind == "png":
        return b"IEND" not in data[-64:]
    if kind == "webp":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if kind == "avif":
        at = 0
        while 0 <= at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            at = at + size if size >= 8 else len(data)
        return at > len(data)
    return tiff_ends_early(data)
