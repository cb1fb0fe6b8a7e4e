import json
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageCms

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.errors import ImageError, ImageTooLargeError, InvalidImageError, OutputError
from studio.tone_mapping.lut import lut_id
from studio.tone_mapping.output import Output
from studio.tone_mapping.pipeline import (
    GradedImage,
    automatic,
    choose_look,
    fixed,
    grade_image,
    grade_still,
    load_proxy,
    make_preview,
    matching,
)
from studio.tone_mapping.probe import Limits, probe
from studio.tone_mapping.profiles import cicp_profile
from studio.tone_mapping.read_adjustments import read_adjustments
from tests.memory import peak_bytes

SLIDERS = {"exposure", "contrast", "highlights", "shadows", "whites", "blacks", "saturation", "temperature", "tint"}


def dark_photo(kind: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    pixels = (skimage.data.coffee().astype(np.float32) * 0.4).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def auto_correct(
    data: bytes, output: Output | None = None, limits: Limits | None = None, strength: float = 100
) -> GradedImage:
    return grade_image(data, automatic(strength), output, limits)


def sliders(graded: GradedImage) -> Adjustments:
    assert graded.look.auto
    return graded.look.auto.adjustments


def file_of(graded: GradedImage) -> BytesIO:
    assert graded.data
    return BytesIO(graded.data)


def test_a_dark_jpeg_becomes_a_brighter_one_and_everything_is_told() -> None:
    graded = auto_correct(dark_photo(quality=95))

    assert (graded.format, graded.width, graded.height) == ("jpeg", 600, 400)
    assert probe(file_of(graded).read()).width == 600
    assert sliders(graded).exposure > 0.5
    assert graded.statistics["after"]["luma_mean"] > 1.3 * graded.statistics["before"]["luma_mean"]
    assert graded.lut_id == lut_id(graded.lut)
    assert set(graded.timings_ms) == {"probe", "decode", "analyse", "lut", "apply", "encode"}
    assert all(value >= 0 for value in graded.timings_ms.values())
    json.dumps(graded.statistics)
    decoded = np.asarray(Image.open(file_of(graded)))
    assert decoded.mean() > 1.3 * np.asarray(Image.open(BytesIO(dark_photo()))).mean()


def test_a_picture_is_graded_to_look_like_another() -> None:
    buffer = BytesIO()
    Image.fromarray(skimage.data.coffee()).save(buffer, "PNG")
    looks_like_it = matching(load_proxy(buffer.getvalue()), 100)
    graded = grade_image(dark_photo("PNG"), looks_like_it)
    original = skimage.data.coffee().astype(float)
    dark = np.asarray(Image.open(BytesIO(dark_photo("PNG")))).astype(float)
    matched = np.asarray(Image.open(file_of(graded))).astype(float)
    assert np.abs(matched - original).mean() < np.abs(dark - original).mean() / 4
    assert choose_look(dark_photo("PNG"), looks_like_it) == graded.look
    then = Adjustments(vibrance=10)
    half = choose_look(dark_photo("PNG"), matching(load_proxy(buffer.getvalue()), 50, then))
    assert half.grades == (sliders(graded).scaled(50), then)


@pytest.mark.parametrize("colour", [0, 96])
def test_a_frame_has_no_say_in_the_look(colour: int) -> None:
    def saved(pixels: Any) -> bytes:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    dark = np.asarray(Image.open(BytesIO(dark_photo("PNG"))).resize((300, 200)))
    framed = np.pad(dark, ((40, 40), (40, 40), (0, 0)), constant_values=colour)
    plain, around = (sliders(grade_image(saved(pixels), automatic(100), dry_run=True)) for pixels in (dark, framed))
    assert around.exposure == pytest.approx(plain.exposure, abs=0.05)
    for slider in ("contrast", "shadows", "blacks", "temperature", "tint", "saturation"):
        assert getattr(around, slider) == pytest.approx(getattr(plain, slider), abs=3)
    matched = [matching(load_proxy(saved(pixels)), 100) for pixels in (dark, framed)]
    plain, around = (sliders(grade_image(saved(skimage.data.coffee()), chooser, dry_run=True)) for chooser in matched)
    assert around.exposure == pytest.approx(plain.exposure, abs=0.1)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_wide_gamut_picture_is_judged_by_its_colours(depth: int) -> None:
    plain = dark_photo("PNG")
    profile = cicp_profile(primaries=9, transfer=13)
    assert profile
    wide = ImageCms.profileToProfile(
        Image.open(BytesIO(plain)), ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(BytesIO(profile))
    )
    assert wide
    buffer = BytesIO()
    wide.save(buffer, "PNG", icc_profile=profile)
    data = buffer.getvalue()
    if depth == 16:
        data = grade_image(data, fixed(), Output(format="tiff", bit_depth=16)).data or b""
    same = choose_look(data, matching(load_proxy(plain), 100))
    assert all(abs(getattr(same.grades[0], name)) <= 2 for name in SLIDERS)
    by_itself, expected = auto_correct(data), auto_correct(plain)
    for name in SLIDERS:
        assert getattr(sliders(by_itself), name) == pytest.approx(getattr(sliders(expected), name), abs=4), name
    for when in ("before", "after"):
        chroma = [graded.statistics[when]["chroma_mean"] for graded in (by_itself, expected)]
        assert chroma[0] == pytest.approx(chroma[1], rel=0.15), when
    small = [np.asarray(Image.open(BytesIO(make_preview(picture)))).astype(int) for picture in (data, plain)]
    assert np.abs(small[0] - small[1]).mean() < 2


def test_strength_scales_the_sliders_down_to_nothing() -> None:
    full, half, none = (auto_correct(dark_photo(), strength=strength) for strength in (100, 50, 0))
    assert sliders(half) == sliders(full).scaled(50)
    assert sliders(none) == Adjustments()
    assert full.look.auto
    assert none.look.auto
    assert any(step.applied for step in full.look.auto.steps)
    assert not any(step.applied for step in none.look.auto.steps)


def test_without_sliders_a_lossless_picture_comes_back_exactly() -> None:
    data = dark_photo("PNG")
    graded = auto_correct(data, strength=0)
    assert (np.asarray(Image.open(file_of(graded))) == np.asarray(Image.open(BytesIO(data)))).all()


@pytest.mark.parametrize("max_size", [None, 200])
def test_the_statistics_are_those_of_input_and_output(max_size: int | None) -> None:
    data = dark_photo("PNG")
    graded = auto_correct(data, Output(max_size=max_size))
    untouched = auto_correct(data, strength=0)
    assert graded.statistics["before"] == untouched.statistics["before"] == untouched.statistics["after"]
    told, found = graded.statistics["after"], auto_correct(file_of(graded).read(), strength=0).statistics["before"]
    assert told.keys() == found.keys()
    assert told["luma_percentiles"] == pytest.approx(found["luma_percentiles"], abs=0.02)
    assert told["luma_mean"] == pytest.approx(found["luma_mean"], abs=0.003)
    assert told["chroma_mean"] == pytest.approx(found["chroma_mean"], abs=0.5)
    assert told["clipped_high"] == pytest.approx(found["clipped_high"], abs=0.002)
    assert np.abs(np.subtract(told["histogram"], found["histogram"])).sum() < 0.15


def test_the_answer_is_the_same_to_the_byte_every_time() -> None:
    assert auto_correct(dark_photo()).data == auto_correct(dark_photo()).data


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_alpha_is_untouched(kind: str) -> None:
    image = Image.open(BytesIO(dark_photo("PNG"))).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    buffer = BytesIO()
    image.save(buffer, kind)
    graded = auto_correct(buffer.getvalue())
    assert (np.asarray(Image.open(file_of(graded)))[..., 3] == np.asarray(image)[..., 3]).all()


def cut_out(picture: NDArray[np.uint8], hidden: int, dtype: type) -> bytes:
    """Leave an ellipse of a picture, and this value where it is transparent."""
    height, width = picture.shape[:2]
    alpha = cv2.ellipse(
        np.zeros((height, width), np.uint8), ((width / 2, height / 2), (width / 2, height / 3), 0), 255, -1
    )
    pixels: NDArray[Any] = np.dstack([np.where(alpha[..., None] > 0, picture, hidden), alpha]).astype(dtype)
    return cv2.imencode(".png", pixels * dtype(257) if dtype == np.uint16 else pixels)[1].tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("side", [600, 2000])
def test_what_hides_in_transparent_pixels_has_no_say(side: int, dtype: type) -> None:
    picture = cv2.resize(skimage.data.coffee()[..., ::-1], (side, side * 2 // 3))
    black, white = (auto_correct(cut_out(picture, hidden, dtype)) for hidden in (0, 255))
    assert black.look == white.look == choose_look(cut_out(picture, 90, dtype), automatic(100))
    assert black.statistics == white.statistics
    stills = [grade_still(cut_out(picture, hidden, dtype), automatic(100)) for hidden in (0, 255)]
    assert np.ptp([still.pixels[still.alpha == 255] for still in stills], axis=0).max() == 0
    around = picture[side * 2 // 9 : side * 4 // 9, side // 4 : side * 3 // 4]
    alone = auto_correct(cv2.imencode(".png", around)[1].tobytes()).statistics["before"]
    told = black.statistics["before"]
    assert told["luma_mean"] == pytest.approx(alone["luma_mean"], abs=0.02)
    assert told["luma_percentiles"] == pytest.approx(alone["luma_percentiles"], abs=0.05)
    assert told["clipped_low"] == pytest.approx(alone["clipped_low"], abs=0.01)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("slider", ["clarity", "texture", "dehaze"])
def test_what_hides_in_transparent_pixels_has_no_say_in_their_surroundings(slider: str, dtype: type) -> None:
    picture = np.ascontiguousarray(skimage.data.coffee()[..., ::-1])
    chooser = fixed(read_adjustments({slider: 80}))
    black, white = (grade_image(cut_out(picture, hidden, dtype), chooser).data for hidden in (0, 255))
    assert black == white
    stills = [grade_still(cut_out(picture, hidden, dtype), chooser) for hidden in (0, 255)]
    assert np.array_equal(stills[0].pixels, stills[1].pixels)


def test_pictures_without_a_visible_pixel_or_with_only_one_go_through() -> None:
    pixels = np.zeros((40, 60, 4), np.uint8)
    auto_correct(cv2.imencode(".png", pixels)[1].tobytes())
    pixels[20, 30] = (90, 120, 200, 255)
    graded = auto_correct(cv2.imencode(".png", pixels)[1].tobytes())
    assert (graded.width, graded.height) == (60, 40)


@pytest.mark.parametrize(("max_size", "size"), [(300, (300, 200)), (600, (600, 400)), (5000, (600, 400)), (1, (1, 1))])
def test_max_size_bounds_the_longer_side(max_size: int, size: tuple[int, int]) -> None:
    graded = auto_correct(dark_photo(), Output(max_size=max_size))
    assert (graded.width, graded.height) == size
    assert Image.open(file_of(graded)).size == size


def test_transparent_pixels_do_not_bleed_when_made_smaller() -> None:
    pixels = np.full((90, 90, 4), (200, 40, 40, 255), np.uint8)
    pixels[:, 40:] = (0, 255, 0, 0)  # hidden green
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    graded = auto_correct(buffer.getvalue(), Output(max_size=30), strength=0)
    small = np.asarray(Image.open(file_of(graded)))
    assert (small[small[..., 3] > 0][:, :3] == (200, 40, 40)).all()
    assert set(np.unique(small[..., 3])) == {0, 85, 255}


@pytest.mark.parametrize("max_size", [100, 300, 700, 1000])
@pytest.mark.parametrize("side", [600, 1535, 1700, 3200])  # of the larger ones, a JPEG is decoded smaller for the look
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_same_picture_gets_the_same_look_at_every_size(kind: str, side: int, max_size: int) -> None:
    picture = Image.open(BytesIO(dark_photo("PNG"))).resize((side, side * 2 // 3))
    buffer = BytesIO()
    picture.save(buffer, kind, quality=95)
    data = buffer.getvalue()
    full, small = (auto_correct(data, Output(format="png", max_size=largest)) for largest in (None, max_size))
    assert small.look == full.look == choose_look(data, automatic(100))
    assert small.lut_id == full.lut_id
    assert small.statistics == full.statistics
    assert max(small.width, small.height) == min(side, max_size)
    shrunk = Image.open(file_of(full)).resize((small.width, small.height), Image.Resampling.BOX)
    assert np.abs(np.asarray(shrunk).astype(float) - np.asarray(Image.open(file_of(small)))).mean() < 3


@pytest.mark.parametrize("strength", [0, 100])
def test_a_jpeg_is_judged_like_a_png_of_the_same_pixels(strength: float) -> None:
    large = Image.open(BytesIO(dark_photo("PNG"))).resize((3000, 2000))
    files = [BytesIO(), BytesIO()]
    for file, kind in zip(files, ("JPEG", "PNG"), strict=True):
        large.save(file, kind, quality=98)
    jpeg, png = (sliders(auto_correct(file.getvalue(), strength=strength)) for file in files)
    for name in ("exposure", "temperature", "tint", "blacks", "saturation"):
        assert getattr(jpeg, name) == pytest.approx(getattr(png, name), abs=0.05 if name == "exposure" else 2), name


def test_a_turned_photo_is_upright_and_says_so() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    graded = auto_correct(dark_photo(exif=exif))
    image = Image.open(file_of(graded))
    assert (graded.width, graded.height) == image.size == (400, 600)
    assert image.getexif()[0x0112] == 1


def test_sixteen_bits_in_and_out_take_no_8_bit_step() -> None:
    ramp = np.linspace(5_000, 20_000, 4096).astype(np.uint16).reshape(64, 64)
    data = cv2.imencode(".png", np.dstack([ramp] * 3))[1].tobytes()
    graded = auto_correct(data)
    assert probe(file_of(graded).read()).bit_depth == 16
    pixels: Any = cv2.imdecode(np.frombuffer(file_of(graded).read(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert len(np.unique(pixels)) > 3000


def test_sixteen_bits_out_of_8_are_real_ones() -> None:
    graded = auto_correct(dark_photo(), Output(format="png", bit_depth=16))
    pixels: Any = cv2.imdecode(np.frombuffer(file_of(graded).read(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert (np.asarray(pixels) % 257 != 0).mean() > 0.5


@pytest.mark.parametrize("texture", [0, 100])
def test_8_bits_out_of_16_are_rounded_last(texture: float) -> None:
    """By hand: 0.0183 is 0.00142 of full light, eight times that is 27.6 codes. Rounded first, it would be speckled."""
    data = cv2.imencode(".png", np.full((90, 120, 3), 1200, np.uint16))[1].tobytes()
    graded = grade_image(data, fixed(Adjustments(exposure=3, texture=texture)), Output(bit_depth=8))
    pixels = np.asarray(Image.open(file_of(graded))).astype(int)
    assert np.ptp(pixels) <= 1
    assert pixels.mean() == pytest.approx(27.6, abs=0.4)


def test_details_are_not_taken_from_the_dither() -> None:
    """Texture finds none in a flat picture that comes out between two codes."""
    data = cv2.imencode(".png", np.full((90, 120, 3), 120, np.uint8))[1].tobytes()
    graded = grade_image(data, fixed(Adjustments(exposure=0.1, texture=100, clarity=100)))
    pixels = np.asarray(Image.open(file_of(graded))).astype(int)
    assert np.ptp(pixels) == 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK"])
@pytest.mark.parametrize("output", ["jpeg", "png", "webp"])
def test_every_mode_goes_through(mode: str, output: Any) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    graded = auto_correct(dark_photo(kind, mode), Output(format=output))
    assert Image.open(file_of(graded)).size == (600, 400)


def test_grey_pictures_stay_grey() -> None:
    graded = auto_correct(dark_photo("PNG", "L"))
    pixels = np.asarray(Image.open(file_of(graded)).convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=2).max() <= 1


@pytest.mark.parametrize(
    "adjustments", [Adjustments(exposure=0.5), Adjustments(contrast=30, shadows=40), Adjustments(vibrance=50)]
)
def test_neutrals_stay_neutral_in_the_written_file(adjustments: Adjustments) -> None:
    grey = Image.open(BytesIO(dark_photo("PNG", "L"))).convert("RGB")
    file = BytesIO()
    grey.save(file, "PNG")
    pixels = np.asarray(Image.open(file_of(grade_image(file.getvalue(), fixed(adjustments)))))
    assert np.ptp(pixels, axis=2).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2)])
def test_tiny_and_thin_pictures_go_through(size: tuple[int, int]) -> None:
    buffer = BytesIO()
    Image.new("RGB", size, (90, 60, 30)).save(buffer, "PNG")
    graded = auto_correct(buffer.getvalue())
    assert (graded.width, graded.height) == size


def test_limits_come_before_pixels() -> None:
    with pytest.raises(ImageTooLargeError):
        auto_correct(dark_photo(), limits=Limits(max_pixels=1000))
    with pytest.raises(InvalidImageError):
        auto_correct(dark_photo(), Output(bit_depth=16))
    head = b"IHDR" + struct.pack(">IIBBBBB", 10_000, 6_500, 8, 6, 0, 0, 0)
    vast = dark_photo("PNG")[:12] + head + struct.pack(">I", zlib.crc32(head)) + dark_photo("PNG")[33:]
    with pytest.raises(OutputError, match="10000 x 6500 = 65,000,000"):
        auto_correct(vast, Output(format="webp"))


def test_damaged_files_of_any_kind_are_errors_of_ours() -> None:
    data = dark_photo("PNG")
    random = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(data)
        for at in random.integers(8, len(data), 3):
            broken[at] = random.integers(0, 256)
        with suppress(ImageError):
            auto_correct(bytes(broken), limits=Limits(max_pixels=1_000_000))


def test_peak_memory_is_at_most_six_times_the_decoded_picture() -> None:
    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 120, (60, 80, 3), dtype=np.uint8), (3200, 2400))
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    auto_correct(data)
    assert pixels.nbytes < peak_bytes(lambda: auto_correct(data)) < 6 * pixels.nbytes


@pytest.mark.parametrize(("sliders", "max_size"), [({}, 1800), ({"clarity": 40}, None)])
def test_peak_memory_of_16_bits_with_alpha(sliders: dict[str, float], max_size: int | None) -> None:
    pixels = cv2.resize(np.random.default_rng(0).integers(0, 60_000, (60, 80, 4), dtype=np.uint16), (2000, 1500))
    data, output = cv2.imencode(".png", pixels)[1].tobytes(), Output(format="png", max_size=max_size)
    look = fixed(read_adjustments(sliders))
    assert peak_bytes(lambda: grade_image(data, look, output)) < 4 * pixels.nbytes


@pytest.mark.parametrize("extension", [".exr", ".hdr"])
def test_scene_light_comes_back_as_a_16_bit_png_or_as_asked(
    scene_file: Callable[..., bytes], light: NDArray[Any], extension: str
) -> None:
    data = scene_file(extension, light)
    graded = auto_correct(data)
    assert (graded.format, probe(file_of(graded).read()).bit_depth) == ("png", 16)
    jpeg = auto_correct(data, Output(format="jpeg", max_size=24))
    assert (jpeg.format, jpeg.width, jpeg.height) == ("jpeg", 24, 16)
    assert 60 < np.asarray(Image.open(file_of(jpeg))).mean() < 200


@pytest.mark.parametrize("slider", ["clarity", "texture", "dehaze"])
def test_spatial_sliders_reach_the_pixels_beside_the_lut(slider: str) -> None:
    data = dark_photo("PNG")
    plain = grade_image(data, fixed(Adjustments(contrast=10)))
    spatial = grade_image(data, fixed(read_adjustments({"contrast": 10, slider: 60})))
    assert spatial.lut_id == plain.lut_id
    before, after = (np.asarray(Image.open(file_of(graded)), np.float32) for graded in (plain, spatial))
    assert np.abs(after - before).mean() > 0.5
    assert (
        after.std() > before.std()
        if slider == "dehaze"
        else np.diff(after, axis=0).std() > np.diff(before, axis=0).std()
    )


def test_a_dry_run_looks_at_the_proxy_only() -> None:
    wet, dry = (grade_image(dark_photo("PNG"), automatic(100), dry_run=run) for run in (False, True))
    assert dry.data is None
    assert (dry.lut_id, dry.look, dry.width) == (wet.lut_id, wet.look, wet.width)
    assert dry.statistics["after"]["luma_mean"] == pytest.approx(wet.statistics["after"]["luma_mean"], abs=0.005)


def test_metadata_is_stripped_when_asked() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010F] = "Maker"
    data = dark_photo(exif=exif)
    assert dict(Image.open(file_of(auto_correct(data))).getexif())[0x010F] == "Maker"
    assert not dict(Image.open(file_of(auto_correct(data, Output(strip_metadata=True)))).getexif())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_still_for_a_film_is_the_graded_picture(mode: str) -> None:
    data = dark_photo("PNG", mode)
    graded: Any = cv2.imdecode(np.frombuffer(file_of(auto_correct(data)).read(), np.uint8), cv2.IMREAD_UNCHANGED)
    still = grade_still(data, automatic(100))
    assert np.array_equal(still.pixels, graded[..., :3] if graded.ndim == 3 else cv2.merge([graded] * 3))
    assert (still.alpha is None) == (mode != "RGBA")


def test_a_still_is_not_larger_than_is_enough_and_has_8_bits() -> None:
    still = grade_still(dark_photo(quality=95), automatic(100), (300, 200))
    assert still.pixels.shape == (200, 300, 3)
    assert grade_still(dark_photo(), automatic(100), (1200, 800)).pixels.shape == (400, 600, 3)
    deep = cv2.imencode(".png", skimage.data.coffee().astype(np.uint16) * 257)[1].tobytes()
    assert grade_still(deep, fixed(Adjustments(clarity=20)), (300, 200)).pixels.dtype == np.uint8
    with pytest.raises(InvalidImageError):
        grade_still(dark_photo()[:500], fixed())


@pytest.mark.parametrize("size", [(3000, 2000), (180, 120), (1, 1), (1, 9000)])
def test_a_preview_is_a_small_jpeg_of_pixels_alone(size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    buffer = BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(buffer, "JPEG", quality=95, exif=exif, icc_profile=b"p" * 300)
    preview = make_preview(buffer.getvalue())
    with Image.open(BytesIO(preview)) as image:
        assert image.format == "JPEG"
        assert max(image.size) <= 384
        assert image.size[0] * size[1] == pytest.approx(image.size[1] * size[0], abs=max(size))
        assert not image.getexif()
        assert not image.info.get("icc_profile")
        assert np.abs(np.asarray(image).astype(int) - (200, 120, 40)).max() <= 3


def test_a_preview_of_16_bits_has_8() -> None:
    deep = cv2.imencode(".png", np.full((20, 30, 3), 30000, np.uint16))[1].tobytes()
    with Image.open(BytesIO(make_preview(deep))) as image:
        assert np.abs(np.asarray(image).astype(int) - 30000 / 257).max() <= 2
