"""Captions: text set in lines, outlined, over a picture."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import sqrt
from typing import NamedTuple
from unicodedata import bidirectional

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from studio.minimatics.fonts import load_font
from studio.minimatics.models import Caption, CaptionStyle, bgr_of
from studio.minimatics.motion import Pixels

_SHRINKING = 0.9
_SMALLEST = 4  # pixels an em


_Measure = Callable[[str], float]  # a line's width in pixels


class _Line(NamedTuple):
    text: str
    direction: str | None


class _Patch(NamedTuple):
    """Ready text: its light, already weighed by how much it covers, and how much of the picture is left under it."""

    left: int
    top: int
    text: Pixels
    rest: Pixels


def draw(captions: Sequence[Caption], picture: Pixels) -> Pixels:
    """Lay captions over a picture, the last uppermost.

    Parameters
    ----------
    captions : sequence of Caption
    picture : ndarray of uint8
        (h, w, 3) BGR, left as it is.

    Returns
    -------
    ndarray of uint8
        Like `picture`.
    """
    height, width = picture.shape[:2]
    drawn = picture.copy()
    for caption in captions:
        left, top, text, rest = _set(caption, width, height)
        place = drawn[top : top + len(text), left : left + text.shape[1]]
        cv2.multiply(place, rest, dst=place, scale=1 / 255)
        cv2.add(place, text, dst=place)
    return drawn


@lru_cache(maxsize=8)
def _set(caption: Caption, width: int, height: int) -> _Patch:
    """Set a caption for a film of this size. Text that would leave the picture is made smaller."""
    style = caption.style
    # Those beside it of the shorter side: of a tall film's height, they could be all of its width.
    beside, above = round(style.margin * min(width, height)), round(style.margin * height)
    room = max(width - 2 * beside, 1), max(height - 2 * above, 1)
    size = max(round(style.size * height), _SMALLEST)
    paragraphs = caption.text.strip().splitlines()
    while True:
        font = load_font(style.font, size, style.bold, style.italic)
        count = sum(len(_filled(paragraph, _measure(font, paragraph), room[0])) for paragraph in paragraphs)
        if size == _SMALLEST or count * sum(font.getmetrics()) <= room[1]:
            break
        shrinking = min(sqrt(room[1] / (count * sum(font.getmetrics()))), _SHRINKING)
        size = max(int(size * shrinking), _SMALLEST)
    lines = [
        _Line(text, _direction(font, paragraph))
        for paragraph in paragraphs
        for text in _evened(paragraph, _measure(font, paragraph), room[0])
    ]
    return _painted(lines, font, style, (width, height), (beside, above))


def _direction(font: ImageFont.FreeTypeFont, paragraph: str) -> str | None:
    """Tell which way a paragraph runs, by its first letter: its lines may begin with one that runs the other way."""
    if font.layout_engine != ImageFont.Layout.RAQM:
        return None  # set as it comes
    kinds = (bidirectional(character) for character in paragraph)
    return next(("ltr" if kind == "L" else "rtl" for kind in kinds if kind in ("L", "R", "AL")), None)


def _measure(font: ImageFont.FreeTypeFont, paragraph: str) -> _Measure:
    return partial(font.getlength, direction=_direction(font, paragraph))


def _evened(paragraph: str, measure: _Measure, width: int) -> list[str]:
    """Break text into as few lines as fit, and those as even as they can be."""
    filled = _filled(paragraph, measure, width)
    if len(filled) == 1 or any(measure(word) > width for word in _words(paragraph)):
        return filled
    fewest = len(filled)
    narrow, wide = width // (fewest + 1), width
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        if len(_filled(paragraph, measure, middle)) <= fewest:
            wide = middle
        else:
            narrow = middle
    return _filled(paragraph, measure, wide)


def _words(paragraph: str) -> list[str]:
    """Split text where it may break, which is not at no-break spaces."""
    return re.findall(r"[\S\u00a0\u2007\u202f]+", paragraph)


def _filled(paragraph: str, measure: _Measure, width: int) -> list[str]:
    """Break text into lines, each as full as can be."""
    lines = [""]
    for word in _words(paragraph):
        longer = f"{lines[-1]} {word}".strip(" ")
        if measure(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while (end := _fitting(word, measure, width)) < len(word):  # longer than a line, or a script without blanks
            lines[-1:] = [word[:end], ""]
            word = word[end:]
        lines[-1] = word
    return lines


def _fitting(word: str, measure: _Measure, width: int) -> int:
    """Tell how many of a word's characters fit into a line: one at least."""
    whole = measure(word)
    if whole <= width:
        return len(word)
    fits, ends = 1, min(len(word), 2 + int(2 * len(word) * width / whole))
    while ends - fits > 1:
        middle = (fits + ends) // 2
        fits, ends = (middle, ends) if measure(word[:middle]) <= width else (fits, middle)
    return fits


def _painted(
    lines: list[_Line],
    font: ImageFont.FreeTypeFont,
    style: CaptionStyle,
    size: tuple[int, int],
    margins: tuple[int, int],
) -> _Patch:
    (width, height), (beside, above) = size, margins
    letters, around = Image.new("L", size), Image.new("L", size)
    ascent, descent = font.getmetrics()
    line_height = ascent + descent
    block = len(lines) * line_height
    top = {"top": above, "middle": (height - block) // 2, "bottom": height - above - block}[style.position]
    left, anchor = {"left": (beside, "ls"), "centre": (width / 2, "ms"), "right": (width - beside, "rs")}[style.align]
    outline = style.outline * font.size
    for number, line in enumerate(lines):
        place = (left, top + number * line_height + ascent)
        ImageDraw.Draw(letters).text(place, line.text, 255, font, anchor, direction=line.direction)
        ImageDraw.Draw(around).text(place, line.text, 255, font, anchor, direction=line.direction, stroke_width=outline)
    box = around.getbbox() or (0, 0, 1, 1)
    inner, outer = (np.asarray(mask.crop(box), np.float32)[..., None] / 255 for mask in (letters, around))
    colour, outline_colour = (np.array(bgr_of(each), np.float32) for each in (style.colour, style.outline_colour))
    text = colour * inner + outline_colour * np.maximum(outer - inner, 0)
    rest = np.repeat(1 - np.maximum(inner, outer), 3, axis=2) * 255
    return _Patch(box[0], box[1], np.rint(text).astype(np.uint8), np.rint(rest).astype(np.uint8))
