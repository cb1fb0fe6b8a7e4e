"""Tone mapping: pictures graded by sliders that are compiled into one 3D LUT.

The engine is pure code: no AWS, no database, no web framework, nothing read from the environment. `service`, `models`,
`settings` and `tasks`, and the packages `presets`, `cache`, `bulk` and `suggest`, put it behind the API. One exception:
`decode` sets OPENCV_IO_ENABLE_OPENEXR, without which OpenCV reads no OpenEXR.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Part of every cache key: raise it whenever the same request would give other pixels.
ENGINE_VERSION = "17"

__all__ = ["ENGINE_VERSION", "auto_correct"]


def auto_correct(image_rgb: "NDArray[Any]") -> "NDArray[Any]":
    """Grade pixels by sliders that are chosen for them.

    Parameters
    ----------
    image_rgb : ndarray
        (h, w, 3) RGB, display-encoded: uint8, uint16 or float32 0..1. It is left as it is.

    Returns
    -------
    ndarray
        Of the same shape and type.

    Raises
    ------
    ValueError
        It is of another shape or type, or empty.
    """
    # Imported here: functions that use other modules of this package must not load OpenCV and OpenColorIO.
    from studio.tone_mapping.pipeline import auto_correct_pixels

    return auto_correct_pixels(image_rgb)
