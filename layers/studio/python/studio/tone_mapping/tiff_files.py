"""The directories of TIFF files: samples and compressions that are read, pages, strips and tiles.

Adobe: TIFF Revision 6.0, 1992; tags are named by their numbers there. Nothing here decodes a pixel.
"""

import struct

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from studio.tone_mapping.errors import UnsupportedImageError, unsupported
from studio.tone_mapping.metadata import tiff_directory

# None, CCITT (four kinds), LZW, JPEG (two kinds), Deflate (two kinds), PackBits: those that OpenCV's libtiff has.
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946)
# Of 16 bits, by photometric interpretation: two kinds of grey, and RGB.
_DEEP_SAMPLES: dict[object, tuple[int, ...]] = {0: (1,), 1: (1,), 2: (3, 4)}
_MOST_PAGES = 20  # looked at; each costs time before any limit


def tiff_depth(tags: ImageFileDirectory_v2) -> int:
    """Tell the bits of a sample, and refuse kinds that Pillow calls damaged, for it cannot read them.

    OpenCV reads some of them, wrongly.

    Parameters
    ----------
    tags : ImageFileDirectory_v2
        Of the picture.

    Returns
    -------
    int
        1, 2, 4, 8 or 16.

    Raises
    ------
    UnsupportedImageError
        ``UNSUPPORTED_FORMAT``.
    """
    colours = tags.get(262)
    if colours in (32803, 34892) or 50706 in tags:  # colour filter array, linear raw, DNG
        raise unsupported("camera RAW")
    if tags.get(254, 0) & 1 and 330 in tags:  # as in NEF and ARW
        raise unsupported("a thumbnail, and has its picture in a directory of its own, as camera RAW does")
    depth, sample_format = max(tags.get(258, (1,))), max(tags.get(339, (1,)))
    if depth not in (1, 2, 4, 8, 16) or sample_format != 1:
        kind = {2: "signed ", 3: "floating-point "}.get(sample_format, "")
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            f"The TIFF holds {kind}{depth}-bit samples. Accepted are unsigned integers of up to 8 bits, or of 16.",
        )
    if tags.get(259, 1) not in _COMPRESSIONS:
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            "The TIFF is compressed in a way that is not read here. "
            "Accepted are none, LZW, Deflate, PackBits, JPEG and CCITT.",
        )
    samples = tags.get(277, 1)
    is_unread = samples not in _DEEP_SAMPLES.get(colours, ()) or (samples > 1 and tags.get(284, 1) != 1)
    if depth == 16 and is_unread:
        raise UnsupportedImageError(
            "UNSUPPORTED_FORMAT",
            "The TIFF holds 16-bit samples of a kind that is not read here. "
            "Accepted with 16 bits are grey, RGB, and RGB with alpha, in one plane (PlanarConfiguration 1).",
        )
    return int(depth)


def count_tiff_pages(data: bytes) -> int:
    """Count the first page, which is read, and those that are no thumbnail of another one (NewSubfileType, bit 0).

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    int
        1, or 2 for more.
    """
    pages, at = 1, tiff_directory(data).next
    for _ in range(_MOST_PAGES - 1):
        if pages > 1 or not at:
            break
        directory = tiff_directory(data, at)
        pages += not directory.get(254, 0) & 1
        at = directory.next
    return pages


def tiff_ends_early(data: bytes) -> bool:
    """Tell whether the directory, or any strip or tile that it lists, lies beyond the end.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bool
        True as well where the directory is damaged.
    """
    try:
        tags = tiff_directory(data)
        offsets, sizes = tags.get(273) or tags.get(324) or (), tags.get(279) or tags.get(325) or ()
        return not tags or any(offset + size > len(data) for offset, size in zip(offsets, sizes, strict=False))
    except (SyntaxError, ValueError, TypeError, OSError, EOFError, struct.error):
        return True


def lacks_pieces(data: bytes) -> bool:
    """Tell whether a TIFF lists fewer strips or tiles than its picture takes, in each plane where it has several.

    Parameters
    ----------
    data : bytes
        A TIFF that `probe` has read.

    Returns
    -------
    bool
    """
    tags = tiff_directory(data)
    offsets = tags.get(273) or tags.get(324)
    if not offsets:  # a JPEG of the old kind may have none; in all others, decoders miss them
        return False
    try:
        width, height = tags[256], tags[257]
        across, down = (tags[322], tags[323]) if 322 in tags else (width, tags.get(278, height))
        pieces = -(-width // max(across, 1)) * -(-height // max(down, 1))
        planes = tags.get(277, 1) if tags.get(284, 1) == 2 else 1
        listed = sum(offset > 0 for offset in offsets)  # at 0 is the header, and none of the picture
        return bool(listed < pieces * planes)
    except (TypeError, LookupError, ArithmeticError):
        return True
