"""Pillow's readers, without the EXIF and the texts that they would read for nothing.

Each value of a directory is copied, and some kilobytes of EXIF whose values lie over each other become gigabytes:
`metadata.tiff_directory` refuses these, Pillow does not.
"""

from io import BytesIO

from PIL import ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

_TEXTS = (b"iTXt", b"tEXt", b"zTXt")


class JpegFile(JpegImageFile):
    """A JPEG, whose resolution is not looked for in EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


class PngFile(PngImageFile):
    """A PNG up to its pixels, without its texts: Pillow calls one damaged whose texts are long once inflated."""

    def __init__(self, file: BytesIO) -> None:
        data = file.getvalue()
        parts, at, kind = [data[:8]], 8, b""
        while at < len(data) and kind not in (b"IDAT", b"fdAT"):
            kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
            if kind not in _TEXTS:
                parts.append(data[at : at + 8] if kind == b"IDAT" else data[at:end])
            at = end
        super().__init__(BytesIO(b"".join(parts)))


class TiffFile(TiffImageFile):
    """A TIFF, turned upright once it is loaded, without the directories of EXIF."""

    def load_end(self) -> None:
        """Turn the picture upright."""
        ImageOps.exif_transpose(self, in_place=True)
