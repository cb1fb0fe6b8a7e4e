"""Presets as files and as LUTs: what of a user's presets takes numpy."""

import io
import re

import numpy as np

from studio import storage
from studio.caller import Caller
from studio.errors import ConflictError, InvalidFieldError, TooLargeError
from studio.names import make_name
from studio.object_keys import missing, preset_key, require_upload
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.cube import write_cube
from studio.tone_mapping.errors import PresetFileError, PresetFileTooLargeError
from studio.tone_mapping.look import Grade, Table, compile_look, look_size
from studio.tone_mapping.lut import Lut
from studio.tone_mapping.preset_file import decode_text, detect_format, read_preset
from studio.tone_mapping.presets import service
from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS
from studio.tone_mapping.presets.models import ImportPresetRequest, ImportPresetResponse
from studio.tone_mapping.presets.settings import PresetSettings
from studio.tone_mapping.read_adjustments import read_adjustments

# An answer of Lambda holds a .cube of so many nodes an axis whatever its numbers are, and none of 65.
EXPORT_MAX_NODES = 50
_MOST_UNMAPPED = 200  # told of a file


def import_preset(caller: Caller, request: ImportPresetRequest) -> ImportPresetResponse:
    """Store a .cube, .3dl or Lightroom .xmp as a preset.

    Parameters
    ----------
    caller : Caller
    request : ImportPresetRequest

    Returns
    -------
    ImportPresetResponse

    Raises
    ------
    InvalidFieldError
        If the file cannot be read; the message names the line.
    NotFoundError
        If the caller has no such upload.
    TooLargeError
        If the file has more bytes than allowed.
    ConflictError
        If the caller has as many presets as allowed.
    """
    caller.require("grade")
    field = "content" if request.content is not None else "file_key"
    text = _read_text(caller, request)
    try:
        file_format = detect_format(text) if request.format == "auto" else request.format
        found = read_preset(text, file_format)
    except PresetFileError as error:
        refusal = TooLargeError if isinstance(error, PresetFileTooLargeError) else InvalidFieldError
        raise refusal(error.message, code=error.code, field=field) from error
    name = request.name or make_name(found.title) or "Imported preset"
    preset = service.new_preset(
        caller, name, request.description, found.adjustments, None if found.lut is None else found.lut.shape[0]
    )
    key = preset_key(caller.user_id, preset.id)
    if found.lut is not None:
        storage.write(key, _pack(found.lut), "application/octet-stream", tags={})
    try:
        service.store(preset)
    except ConflictError:
        if found.lut is not None:
            storage.delete(key)
        raise
    made = service.to_response(preset)
    return ImportPresetResponse(**made.model_dump(), format=file_format, unmapped=list(found.unmapped[:_MOST_UNMAPPED]))


def export_preset(caller: Caller, preset_id: str, size: int | None) -> tuple[str, str]:
    """Write a preset as a .cube.

    Parameters
    ----------
    caller : Caller
    preset_id : str
    size : int or None
        Grid points a side; by default what grading an 8-bit image takes, at most `EXPORT_MAX_NODES`.

    Returns
    -------
    file_name : str
    text : str

    Raises
    ------
    NotFoundError
        If there is no such look, and the caller has no such preset.
    """
    told = service.get_preset(caller, preset_id)
    grades = [find_grade(caller, preset_id, 100)]
    lut = compile_look(grades, size or min(look_size(grades, bit_depth=8), EXPORT_MAX_NODES))
    spatial = ", without its spatial sliders" if told.adjustments and told.adjustments.is_spatial else ""
    file_name = re.sub(r"[^A-Za-z0-9]+", "-", told.name).strip("-") or preset_id
    return f"{file_name}.cube", write_cube(lut, told.name + spatial)


def find_grade(caller: Caller, preset_id: str, strength: float) -> Grade:
    """Return what a preset does to a picture.

    Parameters
    ----------
    caller : Caller
    preset_id : str
    strength : float
        0..100 percent.

    Returns
    -------
    Adjustments or Table

    Raises
    ------
    NotFoundError
        If there is no such look, and the caller has no such preset.
    """
    sliders = find_sliders(caller, preset_id, strength)
    return read_table(caller, preset_id, strength) if sliders is None else sliders


def find_sliders(caller: Caller, preset_id: str, strength: float) -> Adjustments | None:
    """Return the sliders of a preset; None for one that is a table, see `read_table`.

    Parameters
    ----------
    caller : Caller
    preset_id : str
    strength : float
        0..100 percent.

    Raises
    ------
    NotFoundError
        If there is no such look, and the caller has no such preset.
    """
    if builtin := BUILTIN_PRESETS.get(preset_id):
        return builtin.adjustments.scaled(strength)
    preset = service.find_own(caller, preset_id)
    if preset.adjustments is None:
        return None
    return read_adjustments(preset.adjustments).scaled(strength)


def read_table(caller: Caller, preset_id: str, strength: float) -> Table:
    """Read the table of one of the caller's presets.

    Parameters
    ----------
    caller : Caller
    preset_id : str
    strength : float
        0..100 percent.

    Raises
    ------
    NotFoundError
        If it is gone.
    """
    found = storage.read(preset_key(caller.user_id, preset_id), PresetSettings.load().preset_file_max_bytes)
    if found is None:
        raise service.no_such(preset_id)
    return Table(_unpack(found[0]), strength)


def _read_text(caller: Caller, request: ImportPresetRequest) -> str:
    if request.content is not None:
        return request.content
    limit = PresetSettings.load().preset_file_max_bytes
    key = request.file_key or ""
    require_upload(caller, key, "file_key")  # all that the function's role may read
    found = storage.read(key, limit)
    if found is None:
        raise missing(key, "file_key")
    data, size = found
    if size > limit:
        raise TooLargeError(
            f"a preset's file may have {limit:,} bytes; got {size:,}", code="FILE_TOO_LARGE", field="file_key"
        )
    return decode_text(data)


def _pack(lut: Lut) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, lut, allow_pickle=False)
    return buffer.getvalue()


def _unpack(data: bytes) -> Lut:
    lut: Lut = np.load(io.BytesIO(data), allow_pickle=False)
    return lut
