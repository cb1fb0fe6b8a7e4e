"""Pillow's readers, without the EXIF that they would read for nothing.

Each value of a directory is copied, and some kilobytes of EXIF whose values lie over each other become gigabytes:
`metadata.tiff_directory` refuses these, Pillow does not.
"""

from PIL import ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile


class JpegFile(JpegImageFile):
    """A JPEG, whose resolution is not looked for in EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


class TiffFile(TiffImageFile):
    """A TIFF, turned upright once it is loaded, without the directories of EXIF."""

    def load_end(self) -> None:
        """Turn the picture upright."""
        ImageOps.exif_transpose(self, in_place=True)
