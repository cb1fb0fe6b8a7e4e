"""From the colours of an embedded ICC profile to sRGB's."""

from functools import lru_cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from studio.tone_mapping.profiles import usable_profile

Pixels = NDArray[Any]  # of uint8

_GRID = np.stack(np.meshgrid(*[np.arange(0, 256, 51, np.uint8)] * 3), axis=-1).reshape(1, -1, 3)
_SAME = 1  # code values


def to_srgb(pixels: Pixels, profile: bytes | None) -> Pixels:
    """Turn pixels of a profile's space into sRGB, relative to white and with its black.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR; left as they are.
    profile : bytes | None
        As embedded; without a usable one they are taken for sRGB.

    Returns
    -------
    ndarray of uint8
        The pixels themselves where there is nothing to convert.
    """
    profile = usable_profile(profile)
    transform = _transform(profile) if profile else None
    if transform is None:
        return pixels
    converted = _converted(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), transform)
    return cv2.cvtColor(converted, cv2.COLOR_RGB2BGR)


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return the way to sRGB; None from sRGB itself, which most embedded profiles say, and from a broken profile."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None  # viewers take such a picture for sRGB, too
    moved = np.abs(_converted(_GRID, transform).astype(int) - _GRID).max()
    return transform if moved > _SAME else None


def _converted(rgb: Pixels, transform: ImageCms.ImageCmsTransform) -> Pixels:
    picture = Image.fromarray(rgb)
    ImageCms.applyTransform(picture, transform, inPlace=True)
    return np.asarray(picture)
