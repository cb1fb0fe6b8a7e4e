"""Captions: text set in lines, outlined, over a picture."""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from studio.minimatics.fonts import load_font
from studio.minimatics.models import Caption, CaptionStyle
from studio.minimatics.motion import Pixels

_SHRINKING = 0.9
_SMALLEST = 4  # pixels an em


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
    margin = round(style.margin * height)
    room = max(width - 2 * margin, 1), max(height - 2 * margin, 1)
    size = max(round(style.size * height), _SMALLEST)
    while True:
        font = load_font(style.font, size, style.bold, style.italic)
        lines = [line for paragraph in caption.text.strip().splitlines() for line in _filled(paragraph, font, room[0])]
        if size == _SMALLEST or len(lines) * sum(font.getmetrics()) <= room[1]:
            break
        shrinking = min(sqrt(room[1] / (len(lines) * sum(font.getmetrics()))), _SHRINKING)
        size = max(int(size * shrinking), _SMALLEST)
    lines = [line for paragraph in caption.text.strip().splitlines() for line in _evened(paragraph, font, room[0])]
    return _painted(lines, font, style, (width, height), margin)


def _evened(paragraph: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break text into as few lines as fit, and those as even as they can be."""
    filled = _filled(paragraph, font, width)
    if len(filled) == 1 or any(font.getlength(word) > width for word in paragraph.split()):
        return filled
    fewest = len(filled)
    narrow, wide = width // (fewest + 1), width
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        if len(_filled(paragraph, font, middle)) <= fewest:
            wide = middle
        else:
            narrow = middle
    return _filled(paragraph, font, wide)


def _filled(paragraph: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break text into lines, each as full as can be."""
    lines = [""]
    for word in paragraph.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while (end := _fitting(word, font, width)) < len(word):  # longer than a line, or a script without blanks
            lines[-1:] = [word[:end], ""]
            word = word[end:]
        lines[-1] = word
    return lines


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """Tell how many of a word's characters fit into a line: one at least."""
    whole = font.getlength(word)
    if whole <= width:
        return len(word)
    fits, ends = 1, min(len(word), 2 + int(2 * len(word) * width / whole))
    while ends - fits > 1:
        middle = (fits + ends) // 2
        fits, ends = (middle, ends) if font.getlength(word[:middle]) <= width else (fits, middle)
    return fits


def _painted(
    lines: list[str],
    font: ImageFont.FreeTypeFont,
    style: CaptionStyle,
    size: tuple[int, int],
    margin: int,
) -> _Patch:
    width, height = size
    letters, around = Image.new("L", size), Image.new("L", size)
    ascent, descent = font.getmetrics()
    line_height = ascent + descent
    block = len(lines) * line_height
    top = {"top": margin, "middle": (height - block) // 2, "bottom": height - margin - block}[style.position]
    left, anchor = {"left": (margin, "ls"), "centre": (width / 2, "ms"), "right": (width - margin, "rs")}[style.align]
    outline = style.outline * font.size
    for number, line in enumerate(lines):
        place = (left, top + number * line_height + ascent)
        ImageDraw.Draw(letters).text(place, line, 255, font, anchor)
        ImageDraw.Draw(around).text(place, line, 255, font, anchor, stroke_width=outline)
    box = around.getbbox() or (0, 0, 1, 1)
    inner, outer = (np.asarray(mask.crop(box), np.float32)[..., None] / 255 for mask in (letters, around))
    text = _bgr(style.colour) * inner + _bgr(style.outline_colour) * np.maximum(outer - inner, 0)
    rest = np.repeat(1 - np.maximum(inner, outer), 3, axis=2) * 255
    return _Patch(box[0], box[1], np.rint(text).astype(np.uint8), np.rint(rest).astype(np.uint8))


def _bgr(colour: str) -> NDArray[np.float32]:
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)[::-1].astype(np.float32)
