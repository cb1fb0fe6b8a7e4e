from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from studio.tone_mapping.icc import to_srgb
from studio.tone_mapping.profiles import cicp_profile


def test_pixels_of_a_wide_space_turn_into_srgb_and_stay_under_a_broken_profile(picture: Image.Image) -> None:
    profile = cicp_profile(primaries=12, transfer=13)
    assert profile
    wide = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(BytesIO(profile))
    )
    pixels, expected = (np.asarray(image)[..., ::-1].copy() for image in (wide, picture))
    assert np.abs(pixels.astype(int) - expected).max() > 10
    assert np.abs(to_srgb(pixels, profile).astype(int) - expected).max() <= 3
    for broken in (None, profile[:-9], profile[:140] + bytes(len(profile) - 140)):
        assert to_srgb(pixels, broken) is pixels


def test_pixels_under_a_profile_of_srgb_are_left_as_they_are(picture: Image.Image) -> None:
    pixels = np.asarray(picture)[..., ::-1].copy()
    assert to_srgb(pixels, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()) is pixels
