"""LUTs as Adobe .cube text (Cube LUT Specification 1.0), read in the dialects that other programs write."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
from numpy.typing import NDArray

from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.errors import PresetFileError, PresetFileTooLargeError
from studio.tone_mapping.lut import MAX_NODES, Lut

MAX_SIZE_1D = 65536
MAX_CHARACTERS = 100_000_000
# Far above any use (half floats end at 65504), and interpolation stays finite.
MAX_VALUE = 1e6

# How many numbers follow each keyword.
_ARGUMENTS = {
    "LUT_1D_SIZE": 1,
    "LUT_3D_SIZE": 1,
    "DOMAIN_MIN": 3,
    "DOMAIN_MAX": 3,
    "LUT_1D_INPUT_RANGE": 2,
    "LUT_3D_INPUT_RANGE": 2,
    "LUT_IN_VIDEO_RANGE": 0,
    "LUT_OUT_VIDEO_RANGE": 0,
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Black and white of video levels, 10 bits: ITU-R BT.709-6, table 4.
_VIDEO_BLACK, _VIDEO_WHITE = 64 / 1023, 940 / 1023

_Triple = tuple[float, float, float]
# {keyword: (line, arguments)}
_Header = dict[str, tuple[int, tuple[float, ...]]]


class ImportedLut(NamedTuple):
    """A LUT from a file, at least one of its two tables set: display-encoded RGB in, the same out.

    Parameters
    ----------
    title : str
        As the file gives it, empty where it has none.
    lut : ndarray of float32 | None
        (n, n, n, 3): indexed red, green, blue, as `compile_lut` makes it. Values may lie outside 0..1.
    shaper : ndarray of float32 | None
        (m, 3): a curve a channel over the domain, which comes before `lut`, or alone.
    domain_min, domain_max : tuple of float
        What in red, green and blue stands for the first and the last node of the first table.
    """

    title: str
    lut: Lut | None
    shaper: NDArray[np.float32] | None = None
    domain_min: _Triple = (0.0, 0.0, 0.0)
    domain_max: _Triple = (1.0, 1.0, 1.0)


def apply_imported(imported: ImportedLut, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run colours through an imported LUT: domain, then shaper (linear), then LUT (tetrahedral).

    Parameters
    ----------
    imported : ImportedLut
        Of `read_cube` or `read_3dl`.
    rgb : ndarray of float32
        (..., 3) RGB, display-encoded, 0..1. The nodes of an identity LUT give the same look as one plain 3D LUT.

    Returns
    -------
    ndarray of float32
        Of the same shape, 0..1; values of the table beyond that are clamped only here.
    """
    low = np.array(imported.domain_min, np.float32)
    high = np.array(imported.domain_max, np.float32)
    result: NDArray[np.float32] = np.ascontiguousarray((rgb - low) / (high - low))
    if imported.shaper is not None:
        _apply_shaper(imported.shaper, result)
    if imported.lut is not None:
        # apply_lut takes BGR: turning the small table there and back is the same as turning every pixel.
        turned = np.ascontiguousarray(imported.lut.transpose(2, 1, 0, 3)[..., ::-1])
        rows = np.atleast_2d(result)
        result = apply_lut(rows.reshape(-1, *rows.shape[-2:]), turned).reshape(rgb.shape)
    return np.clip(result, 0, 1)


def read_cube(text: str, max_size: int = MAX_NODES, max_characters: int = MAX_CHARACTERS) -> ImportedLut:
    r"""Read a .cube file.

    Understood are Adobe's specification and what is found beyond it: a 1D table before the 3D one in one file,
    ``LUT_1D_INPUT_RANGE`` and ``LUT_3D_INPUT_RANGE``, ``LUT_IN_VIDEO_RANGE`` and ``LUT_OUT_VIDEO_RANGE`` (video levels,
    64..940 of 1023), keywords in small letters, an unquoted title, comments and blank lines anywhere, any line ends,
    a byte order mark. Ranges and levels are worked into the tables and the domain, so that `apply_imported` needs no
    more than these.

    Parameters
    ----------
    text : str
        The file.
    max_size : int
        Nodes an axis that a 3D table may have. OpenColorIO takes 129 at most.
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
    Adobe: Cube LUT Specification 1.0, 2013. Blackmagic Design: DaVinci Resolve, Developer/LUT, "Cube LUT Format
    Specification" (ranges, the 1D shaper, video range).
    """
    lines = split_lines(text, max_characters)
    title, header, first = _read_header(lines)
    size_1d = _size(header, "LUT_1D_SIZE", MAX_SIZE_1D)
    size_3d = _size(header, "LUT_3D_SIZE", max_size)
    if not size_1d and not size_3d:
        raise PresetFileError("neither LUT_3D_SIZE nor LUT_1D_SIZE comes before the table", first)

    table = read_rows(lines, first)
    if len(table) != size_1d + size_3d**3:
        sizes = " and ".join(f"{name} {size}" for name, size in (("1D", size_1d), ("3D", size_3d)) if size)
        raise PresetFileError(f"a LUT of size {sizes} has {size_1d + size_3d**3} rows of numbers, got {len(table)}")
    shaper, cube = table[:size_1d], table[size_1d:]

    low, high = _domain(header, "LUT_1D_INPUT_RANGE" if size_1d else "LUT_3D_INPUT_RANGE")
    if size_1d and size_3d and "LUT_3D_INPUT_RANGE" in header:
        bottom, top = _range(header, "LUT_3D_INPUT_RANGE")
        shaper = (shaper - bottom) / (top - bottom)
    if "LUT_IN_VIDEO_RANGE" in header:
        low, high = _from_video(low), _from_video(high)
    if "LUT_OUT_VIDEO_RANGE" in header:
        shaper, cube = (shaper, _from_video(cube)) if size_3d else (_from_video(shaper), cube)

    return ImportedLut(
        title=title,
        # Red runs fastest in the file, blue in memory.
        lut=_as_lut(cube.reshape(size_3d, size_3d, size_3d, 3).transpose(2, 1, 0, 3)) if size_3d else None,
        shaper=_as_lut(shaper) if size_1d else None,
        domain_min=(float(low[0]), float(low[1]), float(low[2])),
        domain_max=(float(high[0]), float(high[1]), float(high[2])),
    )


def write_cube(lut: Lut, title: str) -> str:
    """Write a LUT of `compile_lut` as .cube: red runs fastest, six decimals.

    Quotes and line breaks in the title, which the format cannot hold, become spaces.

    Parameters
    ----------
    lut : ndarray of float32
        (n, n, n, 3).
    title : str

    Returns
    -------
    str
    """
    size = lut.shape[0]
    safe_title = "".join(" " if character in '"\r\n' else character for character in title)
    rows = np.ascontiguousarray(lut.transpose(2, 1, 0, 3)).reshape(-1)
    body = "%.6f %.6f %.6f\n" * size**3 % tuple(rows.tolist())
    return f'TITLE "{safe_title}"\nLUT_3D_SIZE {size}\nDOMAIN_MIN 0.0 0.0 0.0\nDOMAIN_MAX 1.0 1.0 1.0\n\n{body}'


def split_lines(text: str, max_characters: int) -> list[str]:
    """Split at LF, CR LF or CR, and at nothing else, unlike `str.splitlines`.

    Parameters
    ----------
    text : str
    max_characters : int
        Length that the text may have.

    Returns
    -------
    list of str
        Without their ends, and without a byte order mark.

    Raises
    ------
    PresetFileTooLargeError
        The text is longer than `max_characters`.
    """
    if len(text) > max_characters:
        raise PresetFileTooLargeError(f"the file may have {max_characters} characters, got {len(text)}")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def quoted(text: str) -> str:
    """Quote what was given, for a message: not too long.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        60 characters of it at most, in double quotes.
    """
    shown = text.strip()
    return f'"{shown[:60]}…"' if len(shown) > 60 else f'"{shown}"'


def read_rows(lines: Sequence[str], first: int) -> NDArray[np.float64]:
    """Read rows of three numbers from line `first` (from 1) to the end; comments and blank lines may lie between.

    Parameters
    ----------
    lines : sequence of str
        Of the whole file.
    first : int
        The number of the first row's line.

    Returns
    -------
    ndarray of float64
        (rows, 3), each value finite and no larger than `MAX_VALUE`.

    Raises
    ------
    PresetFileError
        A row is anything else; the message names the first such line.
    """
    try:
        table = np.loadtxt(lines[first - 1 :], comments="#", ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape[1] == 3 and (np.abs(table) <= MAX_VALUE).all():
        return table

    for number, line in enumerate(lines[first - 1 :], first):
        words = line.split("#")[0].split()
        if words and (len(words) != 3 or not all(map(_is_number, words))):
            raise PresetFileError(f"expected three numbers, got {quoted(line)}", number)
    raise PresetFileError("the table cannot be read", first)


def _read_header(lines: Sequence[str]) -> tuple[str, _Header, int]:
    """Return the title, {keyword: (line, arguments)} and the line on which the table starts."""
    title = ""
    header: _Header = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        keyword = words[0].upper() if words else ""
        if not words:
            continue
        if keyword == "TITLE":
            title = _title(line)
        elif keyword[0] in "0123456789+-.":
            return title, header, number
        elif keyword not in _ARGUMENTS:
            raise PresetFileError(f"unknown keyword {quoted(words[0])}", number)
        elif keyword in header:
            raise PresetFileError(f"{keyword} again, after line {header[keyword][0]}", number)
        elif len(words) - 1 != _ARGUMENTS[keyword] or not all(map(_is_number, words[1:])):
            count = _ARGUMENTS[keyword]
            expected = f"{count} number{'' if count == 1 else 's'} after {keyword}" if count else f"{keyword} alone"
            raise PresetFileError(f"expected {expected}, got {quoted(line)}", number)
        else:
            header[keyword] = number, tuple(map(float, words[1:]))
    raise PresetFileError("the file has no table of numbers")


def _title(line: str) -> str:
    rest = line.strip()[len("TITLE") :]
    if rest.count('"') >= 2:
        return rest[rest.index('"') + 1 : rest.rindex('"')]
    return rest.strip(' \t"')


def _is_number(word: str) -> bool:
    return bool(_NUMBER.fullmatch(word)) and abs(float(word)) <= MAX_VALUE


def _size(header: _Header, keyword: str, largest: int) -> int:
    """Return the size that a keyword gives, 0 without it."""
    if keyword not in header:
        return 0
    number, (size,) = header[keyword]
    if not size.is_integer() or not 2 <= size <= largest:
        raise PresetFileError(f"{keyword} may be a whole number from 2 to {largest}, got {size:g}", number)
    return int(size)


def _range(header: _Header, keyword: str) -> tuple[float, float]:
    number, (low, high) = header[keyword]
    if high - low < 1e-6:
        raise PresetFileError(f"{keyword} must rise, got {low:g} to {high:g}", number)
    return low, high


def _domain(header: _Header, range_keyword: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the first and the last node of the first table stand for."""
    line_low, low = header.get("DOMAIN_MIN", (None, (0.0, 0.0, 0.0)))
    line_high, high = header.get("DOMAIN_MAX", (line_low, (1.0, 1.0, 1.0)))
    if any(top - bottom < 1e-6 for bottom, top in zip(low, high, strict=True)):
        shown = "DOMAIN_MAX {:g} {:g} {:g} must be above DOMAIN_MIN {:g} {:g} {:g}".format(*high, *low)
        raise PresetFileError(shown, line_high)
    if range_keyword in header:
        bottom, top = _range(header, range_keyword)
        given = low != (0.0, 0.0, 0.0) or high != (1.0, 1.0, 1.0)
        if given and (low, high) != ((bottom,) * 3, (top,) * 3):
            raise PresetFileError(f"{range_keyword} and DOMAIN_MIN or DOMAIN_MAX differ", header[range_keyword][0])
        low, high = (bottom,) * 3, (top,) * 3
    return np.array(low), np.array(high)


def _from_video(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - _VIDEO_BLACK) / (_VIDEO_WHITE - _VIDEO_BLACK)


def _apply_shaper(shaper: NDArray[np.float32], rgb: NDArray[np.float32]) -> None:
    """Interpolate linearly, in place; beyond 0..1 the first or last value stands."""
    transform = ocio.Lut1DTransform(length=len(shaper), inputHalfDomain=False)
    transform.setInterpolation(ocio.INTERP_LINEAR)
    transform.setData(shaper.reshape(-1))
    processor = ocio.Config.CreateRaw().getProcessor(transform)
    depth = ocio.BIT_DEPTH_F32
    processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_LOSSLESS).applyRGB(rgb.reshape(-1))


def _as_lut(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
