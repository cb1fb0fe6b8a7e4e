import struct
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from studio.tone_mapping.pipeline import automatic, fixed, grade_image
from studio.tone_mapping.profiles import adobe_rgb_profile, cicp_profile, light_profile, usable_profile
from tests.memory import peak_bytes

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_usable_profiles_are_whole_and_for_rgb() -> None:
    assert usable_profile(PROFILE) == PROFILE
    assert usable_profile(PROFILE + b"padding") == PROFILE
    assert usable_profile(PROFILE[:-10]) is None
    assert usable_profile(PROFILE[:16] + b"GRAY" + PROFILE[20:]) is None
    assert usable_profile(b"nonsense" * 40) is None
    assert usable_profile(None) is None


LINEAR = struct.pack(">4s4xHxxi", b"para", 0, 65536)


def with_curve(profile: bytes, curve: bytes, name: bytes = b"rgb") -> bytes:
    """Return an ICC profile with other curves for these channels, behind all that it has."""
    changed = bytearray(profile)
    for channel in name:
        entry = profile.index(bytes([channel]) + b"TRC")
        struct.pack_into(">II", changed, entry + 4, len(profile), len(curve))
    changed += curve
    struct.pack_into(">I", changed, 0, len(changed))
    return bytes(changed)


@pytest.mark.parametrize(
    "curve",
    [
        LINEAR,
        struct.pack(">4s4xHxx5i", b"para", 3, 65536, 65536, 0, 65536, 0),
        struct.pack(">4s4xI", b"curv", 0),
        struct.pack(">4s4xIH", b"curv", 1, 256),
        struct.pack(">4s4xI2H", b"curv", 2, 0, 65535),
        struct.pack(">4s4xI256H", b"curv", 256, *range(0, 65536, 257)),
    ],
)
def test_a_profile_of_light_has_one_for_display(curve: bytes) -> None:
    wide = cicp_profile(9, 13)
    assert wide is not None
    light = light_profile(with_curve(wide, curve))
    assert light is not None
    assert light.display == wide
    ImageCms.ImageCmsProfile(BytesIO(light.grey))

    light = light_profile(with_curve(PROFILE, curve))
    assert light is not None
    assert light.display is None


def test_profiles_of_values_for_display_are_none_of_light() -> None:
    wide = adobe_rgb_profile()
    assert light_profile(with_curve(wide, LINEAR)) is not None
    others = [
        PROFILE,
        wide,
        with_curve(wide, LINEAR, b"rg"),
        with_curve(wide, struct.pack(">4s4xIH", b"curv", 1, round(1.8 * 256))),
        with_curve(wide, struct.pack(">4s4xI3H", b"curv", 3, 0, 14_000, 65535)),
        with_curve(wide, b"mAB " + bytes(20)),
        with_curve(wide, struct.pack(">4s4xI", b"curv", 2**32 - 1)),
        with_curve(wide, LINEAR).replace(b"cprt", b"A2B0"),
        with_curve(wide, LINEAR).replace(b"rXYZ", b"none"),
        wide[:130],
        None,
    ]
    assert [light_profile(profile) for profile in others] == [None] * len(others)


@pytest.mark.parametrize(
    "curve",
    [
        struct.pack(">4s4xHxxi", b"para", 9, 65536),  # there is no such function
        struct.pack(">4s4xHxxi", b"para", 4, 65536),  # that one takes seven parameters
        struct.pack(">4s4xI65536H", b"curv", 65536, *range(65536)),
    ],
    ids=["unknown", "cut", "long"],
)
def test_a_curve_of_light_that_cannot_be_read_does_not_fail_the_grade(picture: Image.Image, curve: bytes) -> None:
    profile = with_curve(adobe_rgb_profile(), curve)
    assert light_profile(profile) is not None
    file = BytesIO()
    picture.save(file, "PNG", icc_profile=profile)
    graded = Image.open(BytesIO(grade_image(file.getvalue(), fixed()).data or b""))
    assert graded.info["icc_profile"] == profile
    assert graded.tobytes() == picture.tobytes()
    assert grade_image(file.getvalue(), automatic(100)).data


def test_tags_that_lie_over_each_other_take_little_memory() -> None:
    head = PROFILE[:128] + struct.pack(">I", 100)
    size = 2**22
    entries = b"".join(struct.pack(">4sII", f"t{number:03}".encode(), 128, size) for number in range(100))
    profile = (head + entries).ljust(size, b"\0")
    profile = struct.pack(">I", size) + profile[4:]
    assert usable_profile(profile) == profile
    assert peak_bytes(lambda: light_profile(profile)) < 5 * size
