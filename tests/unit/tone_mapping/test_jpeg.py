from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from studio.tone_mapping.jpeg import encode_jpeg


@given(st.integers(1, 400), st.integers(1, 90), st.integers(1, 100), st.integers(0, 99))
@example(128, 16, 90, 0)  # one whole strip
@example(129, 17, 90, 0)  # one row more
@example(1280, 8, 90, 0)  # restart markers go round after eight
@example(32, 8, 91, 0)
@example(33, 9, 100, 0)
def test_the_pixels_are_those_of_one_encoder_over_the_whole_picture(
    height: int, width: int, quality: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if quality <= 90 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    whole = cv2.imencode(".jpg", pixels, options)[1].tobytes()
    ours = encode_jpeg(pixels, quality)
    assert (np.asarray(Image.open(BytesIO(ours))) == np.asarray(Image.open(BytesIO(whole)))).all()
    assert len(ours) < 1.02 * len(whole) + 20


@pytest.mark.parametrize("quality", [90, 91])
def test_the_widest_picture_has_intervals_that_a_jpeg_can_tell(quality: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (130, 1, 3), np.uint8).repeat(65_500, axis=1)
    decoded = np.asarray(Image.open(BytesIO(encode_jpeg(pixels, quality))))
    assert decoded.shape == pixels.shape
    assert decoded[-1].std(axis=0).max() < 12


def test_fine_colour_is_kept_above_90() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, ::2, 2] = 200  # red, at every other column
    half, full = (np.asarray(Image.open(BytesIO(encode_jpeg(pixels, quality))))[..., 0] for quality in (90, 91))
    assert abs(int(half[:, ::2].mean()) - int(half[:, 1::2].mean())) < 130
    assert abs(int(full[:, ::2].mean()) - int(full[:, 1::2].mean())) > 180


def test_a_strip_that_is_lost_takes_no_other_with_it() -> None:
    """The strips are told apart by restart markers, in their order."""
    pixels = np.random.default_rng(0).integers(0, 256, (1300, 64, 3), np.uint8)
    jpeg = encode_jpeg(pixels, 90)
    scan = jpeg[jpeg.index(b"\xff\xda") :]
    markers = [scan[at + 1] for at in range(len(scan) - 1) if scan[at] == 0xFF and 0xD0 <= scan[at + 1] <= 0xD7]
    assert markers == [0xD0 + number % 8 for number in range(10)]
