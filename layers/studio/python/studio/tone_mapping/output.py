"""How a graded picture is written: what a request may say of it, too, so that nothing here loads OpenCV or pydantic."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from studio.tone_mapping.formats import Format
from studio.tone_mapping.ranges import check_ranges


def longest_side(least: int) -> Any:
    """Return the field `max_size`.

    Parameters
    ----------
    least : int
        Pixels.
    """
    description = "Longest side in pixels; a larger picture is made smaller, a smaller one kept."
    return field(default=None, metadata={"description": description, "ge": least, "le": 30_000})


@dataclass(frozen=True)
class Output:
    """How a graded picture is written.

    Raises
    ------
    ValueError
        `quality` or `max_size` is out of its range.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    format: Literal["auto", Format] = field(
        default="auto",
        metadata={"description": "File format; `auto` keeps the input's, and is PNG for OpenEXR and Radiance HDR."},
    )
    quality: int = field(
        default=90,
        metadata={
            "description": "Quality of JPEG, WebP and AVIF. JPEG halves the resolution of chroma up to 90, not above.",
            "ge": 1,
            "le": 100,
        },
    )
    bit_depth: Literal[8, 16] | None = field(
        default=None,
        metadata={
            "description": "Bits of a channel; 16 is for PNG and TIFF. By default the input's, where the format can."
        },
    )
    max_size: int | None = longest_side(1)
    strip_metadata: bool = field(
        default=False,
        metadata={
            "description": "Leave EXIF, XMP and IPTC out, their GPS position with them; the colour profile stays, or "
            "colours would shift."
        },
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    def fitted_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Tell the width and height in which a picture of this width and height is written.

        Parameters
        ----------
        size : (int, int)

        Returns
        -------
        (int, int)
            Within `max_size`; never larger than it was, at least 1 x 1.
        """
        longest = max(*size, 1)
        scale = min(self.max_size or longest, longest) / longest
        width, height = (max(1, round(side * scale)) for side in size)
        return width, height
