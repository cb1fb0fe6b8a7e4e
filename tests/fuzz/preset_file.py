"""Looks that other programs wrote: .cube, .3dl and .xmp."""

import atheris
import numpy as np

from studio.tone_mapping.formats import PresetFormat
from tests.fuzz.harness import run

with atheris.instrument_imports(include=["studio"]):
    from studio.tone_mapping.errors import PresetFileError
    from studio.tone_mapping.preset_file import decode_text, detect_format, read_preset

FORMATS: tuple[PresetFormat, ...] = ("cube", "3dl", "xmp")
SEEDS = {
    "3d": b'\0TITLE "x"\nLUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 1\n' + b"0 0 0\n1 1 1\n" * 4,
    "1d": b"\0LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE 0 1\nLUT_IN_VIDEO_RANGE\n0 0 0\n1e0 +1 .5 # white\n",
    "both": b"\0LUT_1D_SIZE 2\nLUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0 2\n0 0 0\n2 2 2\n" + b"0 0 0\n1 1 1\n" * 4,
    "3dl": b"\1" + b"0 512 1023\n" + b"0 0 0\n" * 26 + b"4095 4095 4095\n",
    "xmp": b'\2<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+0.50" '
    b'crs:ProcessVersion="11.0"><crs:ToneCurvePV2012><rdf:Seq><rdf:li>0, 0</rdf:li><rdf:li>255, 255</rdf:li></rdf:Seq>'
    b"</crs:ToneCurvePV2012></rdf:Description></rdf:RDF></x:xmpmeta>",
}


def test(data: bytes) -> None:
    """Refuse a file by its own error, or read what grades finitely; the first byte chooses the format."""
    text = decode_text(data[1:])
    try:
        found = read_preset(text, FORMATS[data[0]] if data and data[0] < len(FORMATS) else detect_format(text))
    except PresetFileError:
        return
    assert found.lut is None or np.isfinite(found.lut).all(), "a colour is not finite"


if __name__ == "__main__":
    run("preset_file", test, SEEDS, 4000)
