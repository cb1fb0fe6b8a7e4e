from typing import Any

import numpy as np
import pytest

from studio.minimatics.captions import _words, draw
from studio.minimatics.fonts import missing_characters
from studio.minimatics.models import Caption

GREY = np.full((360, 640, 3), 128, np.uint8)
LONG = "The quick brown fox jumps over the lazy dog, and the dog, which was asleep, does not mind it in the least"


def caption(text: str, **style: Any) -> Caption:
    return Caption.model_validate({"text": text, "style": style})


def box(*captions: Caption) -> tuple[int, int, int, int]:
    """Return the left, top, right and bottom of what captions change."""
    rows, columns = np.nonzero((draw(captions, GREY) != GREY).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    ("text", "font"),
    [
        ("Hello, Ŵorld", "noto_sans"),
        ("Γειά σου, Κόσμε", "noto_serif"),
        ("Привет, мир", "noto_sans"),
        ("مرحبا بالعالم", "noto_sans_arabic"),
    ],
)
def test_every_script_that_a_font_has_is_drawn(text: str, font: str) -> None:
    assert missing_characters(text, font) == ""
    left, top, right, bottom = box(caption(text, font=font, outline=0))
    assert right - left > 80
    assert 10 < bottom - top < 40
    assert abs((left + right) / 2 - 320) < 4
    assert bottom < 360 * 0.94


def test_characters_that_a_font_has_not_are_told_once_each() -> None:
    assert missing_characters("a 你好你 é\n", "noto_sans") == "你好"
    assert missing_characters("Привет, мир", "noto_sans_arabic") == "Приветм"


def test_arabic_letters_join() -> None:
    joined = box(caption("مرحبا", font="noto_sans_arabic", outline=0))
    apart = box(caption("م ر ح ب ا", font="noto_sans_arabic", outline=0))
    assert joined[2] - joined[0] < 0.7 * (apart[2] - apart[0])


def test_long_text_is_broken_into_even_lines_within_the_picture() -> None:
    left, top, right, bottom = box(caption(LONG, size=0.06))
    assert left >= 0.06 * 360 - 3
    assert right <= 640 - 0.06 * 360 + 3
    drawn = (draw([caption(LONG, size=0.06, outline=0)], GREY) != GREY).any(axis=2)
    rows = drawn.any(axis=1)
    assert np.diff(rows.astype(int)).clip(0).sum() >= 2, "more than one line"
    halves = np.split(drawn[top:bottom], [(bottom - top) // 2])
    widths = [np.ptp(np.nonzero(half.any(axis=0))[0]) for half in halves]
    assert min(widths) > 0.8 * max(widths)


@pytest.mark.parametrize("text", [LONG * 20, "long" * 500, "\n".join("lines" * 2)])
def test_text_that_would_leave_the_picture_is_made_smaller(text: str) -> None:
    left, top, right, bottom = box(Caption.model_construct(text=text[:2000], style=caption("a", size=0.2).style))
    assert 15 < left < right < 625
    assert 15 < top < bottom < 345


def test_styles_do_what_they_say() -> None:
    plain = box(caption("Hello"))
    assert box(caption("Hello", position="top"))[1] < 40
    assert abs(sum(box(caption("Hello", position="middle"))[1::2]) / 2 - 180) < 8
    assert box(caption("Hello", align="left"))[0] < 30
    assert box(caption("Hello", align="right"))[2] > 610
    assert box(caption("Hello", bold=True))[0] < plain[0]
    assert np.any(draw([caption("Hello", italic=True)], GREY) != draw([caption("Hello")], GREY))
    assert np.any(draw([caption("Hello", font="noto_serif")], GREY) != draw([caption("Hello")], GREY))
    wide, narrow = box(caption("Hello", outline=0.3)), box(caption("Hello", outline=0))
    assert narrow[0] - wide[0] == pytest.approx(0.3 * 18, abs=1.5)
    drawn = draw([caption("Hello", colour="#ff0000", outline_colour="#0000ff", size=0.3)], GREY)
    assert (drawn == (0, 0, 255)).all(axis=2).any()
    assert (drawn == (255, 0, 0)).all(axis=2).any()


def test_a_picture_is_not_written_to() -> None:
    picture = GREY.copy()
    draw([caption("Hello")], picture)
    assert np.array_equal(picture, GREY)


def test_lines_run_the_way_of_their_paragraph() -> None:
    narrow = GREY[:, :300]

    def lowest_line(text: str) -> Any:
        return draw([caption(text, font="noto_sans_arabic", size=0.1, outline=0)], narrow)[290:]

    assert _words("مرحبا HDMI بالعالم") == ["مرحبا", "HDMI", "بالعالم"]
    wrapped = lowest_line("مرحبا مرحبا HDMI بالعالم")
    assert np.array_equal(wrapped, lowest_line("\u200fHDMI بالعالم")), "a mark says that it runs to the left"
    assert not np.array_equal(wrapped, lowest_line("HDMI بالعالم"))


def test_text_does_not_break_at_no_break_spaces() -> None:
    words = "\u00a0".join(["word"] * 12)
    assert _words(f"one  two\u3000three\tfour\u202ffive {words}") == ["one", "two", "three", "four\u202ffive", words]
    broken, whole = box(caption("word " * 12 + "word", size=0.06)), box(caption(words + " word", size=0.06))
    assert whole[2] - whole[0] > broken[2] - broken[0]


def test_margins_of_a_tall_film_leave_room_for_text() -> None:
    tall = np.full((640, 360, 3), 128, np.uint8)
    wide = caption("The quick brown fox", margin=0.4)
    rows, columns = np.nonzero((draw([wide], tall) != tall).any(axis=2))
    assert np.ptp(columns) > 40
    assert columns.min() >= 0.4 * 360 - 4
    assert rows.min() >= 0.4 * 640 - 4
    assert box(caption("Hello", align="left", margin=0.2))[0] == pytest.approx(72, abs=4)
