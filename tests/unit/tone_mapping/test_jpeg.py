from io import BytesIO

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from studio.tone_mapping.jpeg import encode_jpeg


@given(st.integers(1, 400), st.integers(1, 90), st.integers(1, 100), st.integers(0, 99))
@example(128, 16, 90, 0)  # one whole strip
@example(129, 17, 90, 0)  # one row more
@example(1280, 8, 90, 0)  # restart markers go round after eight
def test_the_pixels_are_those_of_one_encoder_over_the_whole_picture(
    height: int, width: int, quality: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    whole = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    ours = encode_jpeg(pixels, quality)
    assert (np.asarray(Image.open(BytesIO(ours))) == np.asarray(Image.open(BytesIO(whole)))).all()
    assert len(ours) < 1.02 * len(whole) + 20


def test_a_strip_that_is_lost_takes_no_other_with_it() -> None:
    """The strips are told apart by restart markers, in their order."""
    pixels = np.random.default_rng(0).integers(0, 256, (1300, 64, 3), np.uint8)
    jpeg = encode_jpeg(pixels, 90)
    scan = jpeg[jpeg.index(b"\xff\xda") :]
    markers = [scan[at + 1] for at in range(len(scan) - 1) if scan[at] == 0xFF and 0xD0 <= scan[at + 1] <= 0xD7]
    assert markers == [0xD0 + number % 8 for number in range(10)]
