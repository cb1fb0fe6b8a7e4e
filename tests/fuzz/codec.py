"""Pictures: what a header says is believed only within the limits, and what is damaged is refused by its own error."""

from io import BytesIO

import atheris
import cv2
import numpy as np
from PIL import Image

from tests.fuzz.harness import run

with atheris.instrument_imports(include=["studio", "PIL"]):
    from studio.tone_mapping.decode import decode
    from studio.tone_mapping.errors import ImageError
    from studio.tone_mapping.probe import Limits, check_limits, probe

LIMITS = Limits(max_pixels=250_000, max_scene_pixels=250_000, max_dimension=2000)


def seeds() -> dict[str, bytes]:
    """Return a small picture of every format, with EXIF and XMP where it can have some."""
    picture = Image.fromarray(np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3))
    exif = Image.Exif()
    exif[274], exif[305] = 6, "x"
    found = {}
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        buffer = BytesIO()
        more = {"compression": "tiff_lzw"} if kind == "TIFF" else {"xmp": b"<x/>"}
        picture.save(buffer, kind, exif=exif.tobytes(), **more)
        found[kind] = buffer.getvalue()
    for kind in ("1", "P", "LA", "I;16"):
        buffer = BytesIO()
        picture.convert("L").convert(kind).save(buffer, "PNG")
        found[kind.replace(";", "-")] = buffer.getvalue()
    light = np.asarray(picture, np.float32) / 255
    found |= {kind: cv2.imencode(f".{kind}", light)[1].tobytes() for kind in ("exr", "hdr")}
    return found


def test(data: bytes) -> None:
    """Decode what may be decoded: it has the size that its header says."""
    try:
        header = probe(data)
        check_limits(header, LIMITS)
        photo = decode(data, header)
    except ImageError:
        return
    height, width = photo.pixels.shape[:2]
    assert (width, height) == photo.header.displayed_size, "not the size of the header"


if __name__ == "__main__":
    import os

    os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
    run("codec", test, seeds(), 5000)
