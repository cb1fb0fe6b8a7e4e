"""What kind of file a look came in, and what is refused of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.errors import PresetFileError
from studio.tone_mapping.preset_file import decode_text, detect_format, read_preset
from studio.tone_mapping.presets.models import ImportPresetRequest
from tests.speed import assert_quick


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeff \n<x:xmpmeta/>", "xmp"),
        ("\n\n# a comment\n \tLUT_3D_SIZE 2\n", "cube"),
        ("TITLE\r\n\r\nlut_1d_size 2\r\n", "cube"),
        ("\ufeffLUT_3D_SIZE 2\n", "cube"),
        ("\ufeff  LUT_1D_SIZE 2\r", "cube"),
        ('TITLE "only carriage returns"\r\r LUT_3D_SIZE 2\r', "cube"),
        ('TITLE "its size is missing"\n0 0 0\n', "cube"),
        ("\ufeff0 512 1023\n0 0 0\n", "3dl"),
        ("0 512 1023\n0 0 0\n", "3dl"),
        ("# no LUT_3D_SIZE at the start of a line\n", "3dl"),
    ],
)
def test_the_format_is_told_by_the_content(text: str, expected: str) -> None:
    assert detect_format(text) == expected


@pytest.mark.parametrize(
    "begin", ["s = {", '{"title": 1}', "CSPLUTV100", "\x89PNG", "\ufeff\r# a comment\r SPILUT 1.0"]
)
def test_what_begins_like_none_of_them_is_told(begin: str) -> None:
    with pytest.raises(PresetFileError) as caught:
        detect_format(f"{begin}\r\n 0 0 0\n")
    told = begin.split("\r")[-1].strip()
    assert caught.value.message == f'neither a .cube nor a .3dl nor an .xmp: it begins with "{told}"'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_files_come_in_the_encodings_of_old_tools(encoding: str) -> None:
    text = 'TITLE "Düster"\nLUT_1D_SIZE 2\n0 0 0\n1 1 1\n'
    assert read_preset(decode_text(text.encode(encoding)), "cube").title == "Düster"


@pytest.mark.parametrize("text", ["\n" * 150_000, " \n" * 150_000, "\t" * 300_000, "\n" * 4_000_000 + "x"])
def test_white_space_is_refused_at_once(text: str) -> None:
    def refuse() -> None:
        with pytest.raises(PresetFileError):
            read_preset(text, detect_format(text))

    assert_quick(refuse, 3)


@pytest.mark.parametrize(
    ("curve", "size", "error"),
    [
        (lambda x: x**0.5, 97, 6.5),
        (lambda x: np.log1p(100 * x) / np.log(101), 97, 3.6),
        (lambda x: 1 / (1 + np.exp(-40 * (x - 0.5))), 97, 0.6),
        (lambda x: x**2, 65, 0.1),
    ],
)
def test_a_steep_curve_takes_more_nodes(curve: Callable[[NDArray[Any]], NDArray[Any]], size: int, error: float) -> None:
    rows = "\n".join(f"{value:.6f} {value:.6f} {value:.6f}" for value in curve(np.linspace(0, 1, 1024)))
    lut = read_preset(f"LUT_1D_SIZE 1024\n{rows}\n", "cube").lut
    assert lut is not None
    assert lut.shape[0] == size
    codes = np.arange(256) / 255
    greys = np.repeat(codes.astype(np.float32)[None, :, None], 3, axis=2)
    assert np.abs(apply_lut(greys, lut)[0, :, 1] - curve(codes)).max() * 255 < error


def test_content_has_a_limit() -> None:
    ImportPresetRequest(content="x" * 4_000_000)
    with pytest.raises(ValidationError, match="at most 4000000 characters"):
        ImportPresetRequest(content="x" * 4_000_001)
