"""What kind of file a look came in, and what is refused of it."""

import time

import pytest
from pydantic import ValidationError

from studio.tone_mapping.errors import PresetFileError
from studio.tone_mapping.preset_file import detect_format, read_preset
from studio.tone_mapping.presets.models import ImportPresetRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeff \n<x:xmpmeta/>", "xmp"),
        ("\n\n# a comment\n \tLUT_3D_SIZE 2\n", "cube"),
        ("TITLE\r\n\r\nlut_1d_size 2\r\n", "cube"),
        ("\ufeffLUT_3D_SIZE 2\n", "cube"),
        ("\ufeff  LUT_1D_SIZE 2\r", "cube"),
        ('TITLE "only carriage returns"\r\r LUT_3D_SIZE 2\r', "cube"),
        ("\ufeff0 512 1023\n0 0 0\n", "3dl"),
        ("0 512 1023\n0 0 0\n", "3dl"),
        ("# no LUT_3D_SIZE at the start of a line\n", "3dl"),
    ],
)
def test_the_format_is_told_by_the_content(text: str, expected: str) -> None:
    assert detect_format(text) == expected


@pytest.mark.parametrize("text", ["\n" * 150_000, " \n" * 150_000, "\t" * 300_000, "\n" * 4_000_000 + "x"])
def test_white_space_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(PresetFileError):
        read_preset(text, detect_format(text))
    assert time.process_time() - started < 1


def test_content_has_a_limit() -> None:
    ImportPresetRequest(content="x" * 4_000_000)
    with pytest.raises(ValidationError, match="at most 4000000 characters"):
        ImportPresetRequest(content="x" * 4_000_001)
