"""LUTs as Autodesk .3dl text, read in the dialects of Flame, Lustre, Nuke and their kin."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.cube import MAX_CHARACTERS, ImportedLut, quoted, read_rows, split_lines
from studio.tone_mapping.errors import PresetFileError
from studio.tone_mapping.lut import MAX_NODES

_WHITES = (255, 1023, 4095, 16383, 65535)
# Rows of inputs in use stray from even steps by less: 0 64 128 … 960 1023 by 0.94.
_UNEVEN = 1.0

_MESH = re.compile(r"mesh\s+(\d{1,2})\s+(\d{1,2})", re.IGNORECASE | re.ASCII)
_TRAILER = re.compile(r"(lut\d+|gamma)\b.*", re.IGNORECASE | re.ASCII)
_INTEGER = re.compile(r"\d{1,9}", re.ASCII)


def read_3dl(text: str, max_size: int = MAX_NODES, max_characters: int = MAX_CHARACTERS) -> ImportedLut:
    """Read a .3dl file: a row of inputs, then rows of three whole numbers, blue running fastest.

    White in the output is that of ``Mesh inputs outputs`` (bits), or else of the fewest bits of 8, 10, 12, 14 and 16
    that hold the largest number, which may be one more: some programs scale by 1024 or 4096. The row of inputs says
    where the nodes lie, its last being white; where they are not evenly spaced, they become a shaper. Without that row
    they are taken as even. Comments, blank lines, Lustre's ``3DMESH`` and its closing lines of gamma (``LUT8``,
    ``gamma 1.0``) are passed over.

    Parameters
    ----------
    text : str
        The file.
    max_size : int
        Nodes an axis that the table may have. OpenColorIO takes 129 at most.
    max_characters : int
        Length that the file may have.

    Returns
    -------
    ImportedLut

    Raises
    ------
    PresetFileTooLargeError
        The file is too long.
    PresetFileError
        Anything else is wrong with it; the message names the line where one is to blame.

    References
    ----------
    Autodesk: Lustre 2009 Extension 1 User Guide, "3D LUTs" (mesh, bits, order).
    """
    lines = split_lines(text, max_characters)
    while lines and (_is_blank(lines[-1]) or _TRAILER.fullmatch(lines[-1].strip())):
        lines.pop()
    first, white = _read_header(lines)
    rows = sum(not _is_blank(line) for line in lines[first - 1 :])
    # Three numbers are inputs of as many nodes only where their 27 rows follow.
    has_inputs = len(lines[first - 1].split("#")[0].split()) != 3 or rows == 1 + 3**3
    inputs = _read_inputs(lines, first) if has_inputs else None
    table = _read_table(lines, first + has_inputs)
    size = round(len(table) ** (1 / 3)) if inputs is None else len(inputs)

    if not 2 <= size <= max_size:
        raise PresetFileError(f"a LUT may have 2 to {max_size} nodes an axis, got {size}", first)
    if len(table) != size**3:
        raise PresetFileError(f"a LUT of {size} nodes an axis has {size**3} rows of numbers, got {len(table)}")
    if white is None:
        white = next(white for white in _WHITES if table.max() <= white + 1)
    return ImportedLut(
        title="",
        lut=(table / white).reshape(size, size, size, 3).astype(np.float32),
        shaper=None if inputs is None else _shaper(inputs),
    )


def _is_blank(line: str) -> bool:
    return not line or not line.split("#")[0].strip()


def _read_header(lines: Sequence[str]) -> tuple[int, int | None]:
    """Return the line of the first numbers, and the white that the header gives."""
    white = None
    for number, line in enumerate(lines, 1):
        if _is_blank(line):
            continue
        content = line.split("#")[0].strip()
        mesh = _MESH.fullmatch(content)
        if mesh:
            bits = int(mesh[2])
            if not 8 <= bits <= 16:
                raise PresetFileError(f"Mesh may give 8 to 16 bits of output, got {bits}", number)
            white = 2**bits - 1
        elif content.upper() != "3DMESH":
            if not content[0].isdigit():
                raise PresetFileError(f"expected 3DMESH, Mesh with two numbers, or inputs, got {quoted(line)}", number)
            return number, white
    raise PresetFileError("the file has no table of numbers")


def _read_inputs(lines: Sequence[str], number: int) -> NDArray[np.float64]:
    words = lines[number - 1].split("#")[0].split()
    values = [int(word) for word in words if _INTEGER.fullmatch(word)]
    if len(values) != len(words) or max(values) > _WHITES[-1]:
        shown = quoted(lines[number - 1])
        raise PresetFileError(f"expected whole numbers from 0 to {_WHITES[-1]}, got {shown}", number)
    if any(left >= right for left, right in pairwise(values)):
        raise PresetFileError(f"inputs must rise, got {quoted(lines[number - 1])}", number)
    return np.array(values, np.float64)


def _read_table(lines: Sequence[str], first: int) -> NDArray[np.float64]:
    """Read rows of three whole numbers, none below 0 or above 16 bits."""
    if len(lines) < first:
        raise PresetFileError("the file has no table of numbers")
    table = read_rows(lines, first)
    bad = ((table < 0) | (table > _WHITES[-1]) | (table != np.rint(table))).any(axis=1)
    if bad.any():
        numbers = [number for number, line in enumerate(lines[first - 1 :], first) if not _is_blank(line)]
        number = numbers[int(bad.argmax())]
        shown = quoted(lines[number - 1])
        raise PresetFileError(f"expected three whole numbers from 0 to {_WHITES[-1]}, got {shown}", number)
    return table


def _shaper(inputs: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Return the curve from inputs to evenly spaced nodes, None where they are even already."""
    last = int(inputs[-1])
    if np.abs(inputs - np.linspace(0, last, len(inputs))).max() <= _UNEVEN:
        return None
    # One value for each whole number, so that every bend lies on one.
    curve = np.interp(np.arange(last + 1), inputs, np.linspace(0, 1, len(inputs))).astype(np.float32)
    return np.repeat(curve[:, None], 3, axis=1)
