from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydantic import TypeAdapter, ValidationError

from studio.tone_mapping.decode import decode
from studio.tone_mapping.encode import check_memory, encode, with_dtype
from studio.tone_mapping.errors import OutputError
from studio.tone_mapping.output import Output
from studio.tone_mapping.probe import ImageHeader, probe
from tests.memory import peak_bytes

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FORMATS = ["jpeg", "png", "webp", "avif", "tiff"]


def smooth(dtype: type = np.uint8, side: int = 64) -> NDArray[Any]:
    y, x = np.mgrid[:side, :side] / side
    return (np.stack([x, y, (x + y) / 2], axis=-1) * np.iinfo(dtype).max).astype(dtype)


def header_of(kind: Any = "png", bit_depth: int = 8, **more: Any) -> ImageHeader:
    return ImageHeader(kind, 64, 64, "RGB", bit_depth, has_alpha=False, **more)


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("kind", FORMATS)
def test_exif_and_profile_are_kept_and_the_picture_is_upright(kind: Any) -> None:
    header = header_of(icc_profile=PROFILE, exif=exif_block(), orientation=6)

    data = encode(smooth(), None, header, Output(format=kind))

    image = Image.open(BytesIO(data))
    exif = image.getexif()
    assert image.format == kind.upper()
    assert image.info["icc_profile"] == PROFILE
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
    assert exif.get_ifd(0x8825)[1] == "N"
    assert np.abs(np.asarray(image.convert("RGB"))[..., ::-1].astype(int) - smooth()).mean() < 3


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_is_added_where_there_was_nothing(kind: Any) -> None:
    header = probe(encode(smooth(), None, header_of(), Output(format=kind)))
    assert header.format == kind
    assert header.icc_profile is None
    assert header.exif is None
    assert header.dpi is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("written", ["jpeg", "png", "tiff"])
def test_the_resolution_for_print_is_kept(kind: Any, written: Any) -> None:
    photograph = BytesIO()
    Image.new("RGB", (8, 6)).save(photograph, kind, dpi=(300, 240))

    header = probe(photograph.getvalue())
    image = Image.open(BytesIO(encode(smooth(), None, header, Output(format=written, strip_metadata=True))))

    assert image.info["dpi"] == pytest.approx((300, 240), abs=0.02)  # a PNG counts by the metre
    assert header.dpi == pytest.approx((300, 240), abs=0.02)


def test_the_resolution_is_turned_with_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = BytesIO()
    Image.new("RGB", (8, 6)).save(photograph, "JPEG", dpi=(300, 240), exif=exif)
    assert probe(photograph.getvalue()).dpi == (240, 300)


@pytest.mark.parametrize("dpi", [(0, 0), (0.5, 300), (70_000, 70_000)])
def test_a_resolution_that_nothing_has_is_left_out(dpi: tuple[float, float]) -> None:
    photograph = BytesIO()
    Image.new("RGB", (8, 6)).save(photograph, "TIFF", dpi=dpi)
    assert probe(photograph.getvalue()).dpi is None


@pytest.mark.parametrize("kind", ["png", "webp", "avif", "tiff"])
def test_alpha_survives(kind: Any) -> None:
    alpha = smooth()[..., 0]
    data = encode(smooth(), alpha, header_of(), Output(format=kind, quality=100))
    photo = decode(data, probe(data))
    assert photo.alpha is not None
    assert np.abs(photo.alpha.astype(int) - alpha).max() <= (0 if kind in ("png", "tiff") else 12)


def test_alpha_of_16_bits_becomes_the_nearest_of_8() -> None:
    alpha = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = encode(np.zeros((256, 256, 3), np.uint8), alpha, header_of(), Output(format="png", bit_depth=8))
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    assert np.abs(decoded[..., 3] - alpha / 257).max() <= 0.5


def test_jpeg_lays_alpha_over_white() -> None:
    black, alpha = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    alpha[:, 32:] = 255
    data = encode(black, alpha, header_of(), Output(format="jpeg"))
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels[:, :24].min() > 250
    assert pixels[:, 40:].max() < 5


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_auto_keeps_format_and_sixteen_bits(kind: Any) -> None:
    data = encode(smooth(np.uint16), None, header_of(kind, 16), Output())
    header = probe(data)
    assert (header.format, header.bit_depth) == (kind, 16)
    assert (decode(data, header).pixels == smooth(np.uint16)).all()


def test_avif_of_more_than_8_bits_keeps_10() -> None:
    data = encode(smooth(np.uint16), None, header_of("avif", 12), Output(quality=95))
    header = probe(data)
    assert (header.format, header.bit_depth) == ("avif", 10)
    assert np.abs(decode(data, header).pixels.astype(int) - smooth(np.uint16)).mean() < 600


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_sixteen_bits_become_8_where_the_format_has_no_more(kind: Any) -> None:
    assert probe(encode(smooth(np.uint16), None, header_of("png", 16), Output(format=kind))).bit_depth == 8


@pytest.mark.parametrize(("asked", "got"), [(8, 8), (16, 16), (None, 16)])
def test_bit_depth_is_as_asked(asked: Any, got: int) -> None:
    data = encode(smooth(np.uint16), None, header_of("png", 16), Output(bit_depth=asked))
    assert probe(data).bit_depth == got


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_sixteen_bits_asked_of_a_format_without_are_refused(kind: Any) -> None:
    with pytest.raises(OutputError, match="PNG and TIFF can") as caught:
        encode(smooth(), None, header_of(), Output(format=kind, bit_depth=16))
    assert (caught.value.code, caught.value.field) == ("OUTPUT_BIT_DEPTH", "bit_depth")


@pytest.mark.parametrize(("kind", "longest"), [("webp", 16_383), ("jpeg", 65_500)])
def test_a_side_that_the_format_cannot_hold_is_refused(kind: Any, longest: int) -> None:
    assert encode(np.zeros((1, longest, 3), np.uint8), None, header_of(), Output(format=kind))
    with pytest.raises(OutputError, match=f"{longest:,}") as caught:
        encode(np.zeros((1, longest + 1, 3), np.uint8), None, header_of(), Output(format=kind))
    assert (caught.value.code, caught.value.field) == ("OUTPUT_DIMENSIONS", "format")


@pytest.mark.parametrize(
    ("kind", "mode", "asked", "named"),
    [
        ("webp", "RGBA", {}, "WEBP with alpha"),
        ("webp", "RGBA", {"max_size": 9000}, "WEBP with alpha"),
        ("avif", "RGBA", {"bit_depth": 8}, "AVIF with alpha"),
        ("avif", "RGB", {}, "AVIF of more than 8 bits"),
        ("avif", "RGB", {"max_size": 8001}, "AVIF of more than 8 bits"),
    ],
)
def test_what_takes_too_much_memory_to_write_is_refused(kind: Any, mode: str, asked: Any, named: str) -> None:
    header = ImageHeader("png", 10_000, 10_000, mode, 16, has_alpha=mode == "RGBA")
    with pytest.raises(OutputError, match=f"{named} is written up to 64,000,000 pixels; the picture would") as caught:
        check_memory(header, Output(format=kind, **asked))
    assert (caught.value.code, caught.value.field) == ("OUTPUT_TOO_LARGE", "format")
    check_memory(header, Output(format=kind, max_size=8000))


def test_a_header_of_no_pixels_is_left_to_the_decoder() -> None:
    check_memory(ImageHeader("avif", 0, 0, "RGBA", 8, has_alpha=True), Output())


@pytest.mark.parametrize(
    ("output", "mode"),
    [
        (Output(format="avif", bit_depth=8), "RGB"),
        (Output(format="webp"), "RGB"),
        (Output(format="png"), "RGBA"),
        (Output(format="jpeg"), "RGBA"),
    ],
)
def test_what_takes_less_memory_to_write_may_be_as_large_as_any_picture(output: Output, mode: str) -> None:
    check_memory(ImageHeader("png", 10_000, 10_000, mode, 16, has_alpha=mode == "RGBA"), output)


def test_a_profile_that_jpeg_cannot_hold_is_refused() -> None:
    profile = bytearray(PROFILE) + bytes(17_000_000)
    profile[:4] = len(profile).to_bytes(4, "big")
    with pytest.raises(OutputError, match="16,707,345") as caught:
        encode(smooth(), None, header_of(icc_profile=bytes(profile)), Output(format="jpeg"))
    assert (caught.value.code, caught.value.field) == ("OUTPUT_PROFILE", "format")
    encode(smooth(), None, header_of(icc_profile=bytes(profile)), Output(format="png"))


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_quality_matters(kind: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    small, large = (len(encode(noise, None, header_of(), Output(format=kind, quality=q))) for q in (30, 95))
    assert small < large


def test_with_dtype_dithers_down_and_widens_exactly() -> None:
    pixels = smooth()
    assert (with_dtype(with_dtype(pixels, np.dtype(np.uint16)), np.dtype(np.uint8)) == pixels).all()
    assert with_dtype(pixels, np.dtype(np.uint8)) is pixels
    fine = np.full((128, 128, 3), 30_000, np.uint16)
    assert abs(with_dtype(fine, np.dtype(np.uint8)).mean() - 30_000 / 257) < 0.03


@pytest.mark.parametrize(
    "wrong", [{"format": "gif"}, {"quality": 0}, {"quality": 101}, {"bit_depth": 12}, {"max_size": 0}]
)
def test_output_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TypeAdapter(Output).validate_python(wrong)


def test_output_names_the_range() -> None:
    with pytest.raises(ValueError, match="quality is 1 to 100, got 101"):
        Output(quality=101)


def test_laying_over_white_takes_little_more_than_the_answer() -> None:
    pixels, alpha = np.zeros((2048, 2048, 3), np.uint8), np.full((2048, 2048), 128, np.uint8)
    encoded = encode(pixels, alpha, header_of(), Output(format="jpeg"))
    peak = peak_bytes(lambda: encode(pixels, alpha, header_of(), Output(format="jpeg")))
    assert peak < 1.5 * pixels.nbytes + len(encoded)
