"""Looks that other programs wrote: a .cube, .3dl or .xmp to sliders or to one LUT."""

import codecs
import re
from typing import NamedTuple

import numpy as np

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.cube import ImportedLut, apply_imported, quoted, read_cube
from studio.tone_mapping.errors import PresetFileError
from studio.tone_mapping.formats import PresetFormat
from studio.tone_mapping.lut import Lut, identity_lut
from studio.tone_mapping.threedl import read_3dl
from studio.tone_mapping.xmp import read_xmp

_BAKED_SIZE = 65  # of a LUT that is more than one table over 0..1
_VISIBLE = 1 / 255  # error above which it takes more
_FINELY_BAKED_SIZE = 97  # 11 MB to store and to read; 129 would be 26


class PresetFile(NamedTuple):
    """What a look's file comes to: sliders or a LUT.

    Attributes
    ----------
    title : str
        Empty where it has none.
    adjustments : Adjustments | None
    lut : ndarray of float32 | None
        As `compile_lut` makes it, over 0..1.
    unmapped : tuple of str
        Settings that have no slider here.
    """

    title: str
    adjustments: Adjustments | None = None
    lut: Lut | None = None
    unmapped: tuple[str, ...] = ()


def read_preset(text: str, file_format: PresetFormat) -> PresetFile:
    """Read a look's file.

    Parameters
    ----------
    text : str
    file_format : {"cube", "3dl", "xmp"}
        See `detect_format`.

    Returns
    -------
    PresetFile

    Raises
    ------
    PresetFileError
        If it is not such a file; the message names the line.
    """
    if file_format == "xmp":
        preset = read_xmp(text)
        return PresetFile(preset.title, adjustments=preset.adjustments, unmapped=preset.unmapped)
    imported: ImportedLut = read_cube(text) if file_format == "cube" else read_3dl(text)
    return PresetFile(imported.title, lut=_bake(imported))


def detect_format(text: str) -> PresetFormat:
    """Tell a file's format: XML is .xmp, a LUT with a keyword of .cube is that, what begins with numbers .3dl.

    Parameters
    ----------
    text : str

    Returns
    -------
    {"cube", "3dl", "xmp"}
        A guess: `read_preset` says whether it is such a file.

    Raises
    ------
    PresetFileError
        If it begins like none of them.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return "xmp"
    # Lines end as for `split_lines`; what `re.MULTILINE` takes for an end is LF alone.
    keyword = r"(?:\A|[\r\n])[ \t]*(?:LUT_[13]D_SIZE|DOMAIN_MIN|DOMAIN_MAX|TITLE)\b"
    if re.search(keyword, text, re.IGNORECASE):
        return "cube"
    begin = re.search(r"(?:\A|[\r\n])[ \t]*([^\s#][^\r\n]*)", text)
    if begin and not re.match(r"\d|3dmesh|mesh", begin[1], re.IGNORECASE):
        raise PresetFileError(f"neither a .cube nor a .3dl nor an .xmp: it begins with {quoted(begin[1])}")
    return "3dl"


def decode_text(data: bytes) -> str:
    """Decode a file's bytes: UTF-8, UTF-16 with its mark, or what old tools wrote titles and comments in.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    str
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # the numbers are ASCII anyway


def _bake(imported: ImportedLut) -> Lut:
    """Return one table over 0..1: the file's own where it is that already, else sampled through all that it says."""
    plain = imported.shaper is None and imported.domain_min == (0, 0, 0) and imported.domain_max == (1, 1, 1)
    if plain and imported.lut is not None and imported.lut.shape[0] <= _BAKED_SIZE:
        return imported.lut
    baked = apply_imported(imported, identity_lut(_BAKED_SIZE))
    if _largest_error(imported, baked) <= _VISIBLE:
        return baked
    return apply_imported(imported, identity_lut(_FINELY_BAKED_SIZE))


def _largest_error(imported: ImportedLut, baked: Lut) -> float:
    """Find how far the table is off: over greys, which a curve is a matter of, and over colours between its nodes."""
    greys = np.repeat(np.linspace(0, 1, 1024, dtype=np.float32)[:, None], 3, axis=1)
    colours = np.concatenate([greys, identity_lut(40).reshape(-1, 3)])[None]
    shown = apply_lut(colours[..., ::-1], baked)[..., ::-1]
    return float(np.abs(shown - apply_imported(imported, colours)).max())
