from PIL import ImageCms

from studio.tone_mapping.profiles import usable_profile

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_usable_profiles_are_whole_and_for_rgb() -> None:
    assert usable_profile(PROFILE) == PROFILE
    assert usable_profile(PROFILE + b"padding") == PROFILE
    assert usable_profile(PROFILE[:-10]) is None
    assert usable_profile(PROFILE[:16] + b"GRAY" + PROFILE[20:]) is None
    assert usable_profile(b"nonsense" * 40) is None
    assert usable_profile(None) is None
