"""Presets: built-in looks, and the callers' own in MongoDB."""

from dataclasses import asdict

from studio import storage
from studio.caller import Caller
from studio.documents import new_id, utc_now
from studio.errors import ConflictError, ForbiddenError, InvalidFieldError, NotFoundError
from studio.object_keys import preset_key
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.presets import repository
from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS, BuiltinPreset
from studio.tone_mapping.presets.models import (
    CreatePresetRequest,
    ListPresetsResponse,
    Preset,
    PresetResponse,
    UpdatePresetRequest,
)
from studio.tone_mapping.presets.settings import PresetSettings
from studio.tone_mapping.read_adjustments import read_adjustments


def list_presets(caller: Caller, limit: int, cursor: str | None) -> ListPresetsResponse:
    """List built-in looks, then the caller's presets, oldest first.

    Parameters
    ----------
    caller : Caller
    limit : int
        Size of a page, 1 to 100.
    cursor : str or None
        `next_cursor` of the page before.

    Returns
    -------
    ListPresetsResponse
    """
    caller.require("grade")
    after = cursor or ""
    # "builtin_…" sorts before the "pre_…" of ids, so that one cursor runs through both.
    items = [_builtin_to_response(preset) for preset in BUILTIN_PRESETS.values() if preset.id > after]
    if len(items) <= limit:
        items += [
            to_response(preset) for preset in repository.list_presets(caller.user_id, after, limit + 1 - len(items))
        ]
    next_cursor = items[limit - 1].preset_id if len(items) > limit else None
    return ListPresetsResponse(items=items[:limit], next_cursor=next_cursor)


def create_preset(caller: Caller, request: CreatePresetRequest) -> PresetResponse:
    """Store sliders as a preset.

    Parameters
    ----------
    caller : Caller
    request : CreatePresetRequest

    Returns
    -------
    PresetResponse

    Raises
    ------
    ConflictError
        If the caller has as many presets as allowed.
    """
    caller.require("grade")
    preset = new_preset(caller, request.name, request.description, request.adjustments, None)
    store(preset)
    return to_response(preset)


def get_preset(caller: Caller, preset_id: str) -> PresetResponse:
    """Tell a built-in look or one of the caller's presets.

    Parameters
    ----------
    caller : Caller
    preset_id : str

    Returns
    -------
    PresetResponse

    Raises
    ------
    NotFoundError
        If there is no such look, and the caller has no such preset.
    """
    caller.require("grade")
    if builtin := BUILTIN_PRESETS.get(preset_id):
        return _builtin_to_response(builtin)
    return to_response(find_own(caller, preset_id))


def update_preset(caller: Caller, preset_id: str, request: UpdatePresetRequest) -> PresetResponse:
    """Replace one of the caller's presets; a LUT keeps its values.

    Parameters
    ----------
    caller : Caller
    preset_id : str
    request : UpdatePresetRequest

    Returns
    -------
    PresetResponse

    Raises
    ------
    ForbiddenError
        If it is a built-in look.
    InvalidFieldError
        If sliders are given for a LUT, or none for sliders.
    NotFoundError
        If the caller has no such preset.
    """
    caller.require("grade")
    _refuse_builtin(preset_id)
    is_lut = find_own(caller, preset_id).adjustments is None
    if is_lut == (request.adjustments is not None):
        why = "the preset is a LUT and has no sliders" if is_lut else "the preset's sliders are missing"
        raise InvalidFieldError(why, field="adjustments")
    changes = {
        "name": request.name,
        "description": request.description,
        "adjustments": asdict(request.adjustments) if request.adjustments else None,
    }
    changed = repository.update_preset(preset_id, caller.user_id, changes, utc_now())
    if changed is None:
        raise no_such(preset_id)
    return to_response(changed)


def delete_preset(caller: Caller, preset_id: str) -> None:
    """Delete one of the caller's presets.

    Parameters
    ----------
    caller : Caller
    preset_id : str

    Raises
    ------
    ForbiddenError
        If it is a built-in look.
    NotFoundError
        If the caller has no such preset.
    """
    caller.require("grade")
    _refuse_builtin(preset_id)
    deleted = repository.delete_preset(preset_id, caller.user_id)
    if deleted is None:
        raise no_such(preset_id)
    if deleted.lut_size:
        storage.delete(preset_key(caller.user_id, preset_id))


def new_preset(
    caller: Caller, name: str, description: str, adjustments: Adjustments | None, lut_size: int | None
) -> Preset:
    """Make a preset of the caller's, not stored yet.

    Parameters
    ----------
    caller : Caller
    name, description : str
    adjustments : Adjustments or None
        None for a LUT.
    lut_size : int or None
        None for sliders.

    Returns
    -------
    Preset
    """
    now = utc_now()
    return Preset(
        id=new_id("pre"),
        user_id=caller.user_id,
        name=name,
        description=description,
        adjustments=asdict(adjustments) if adjustments else None,
        lut_size=lut_size,
        created_at=now,
        updated_at=now,
    )


def store(preset: Preset) -> None:
    """Store a new preset.

    Parameters
    ----------
    preset : Preset

    Raises
    ------
    ConflictError
        If its user has as many presets as allowed.
    """
    limit = PresetSettings.load().presets_max
    if not repository.insert_preset(preset, limit):
        raise ConflictError(f"a user may have {limit:,} presets, and you have as many", code="TOO_MANY_PRESETS")


def find_own(caller: Caller, preset_id: str) -> Preset:
    """Find one of the caller's presets.

    Parameters
    ----------
    caller : Caller
    preset_id : str

    Raises
    ------
    NotFoundError
        If the caller has no such preset.
    """
    preset = repository.find_preset(preset_id, caller.user_id)
    if preset is None:
        raise no_such(preset_id)
    return preset


def no_such(preset_id: str) -> NotFoundError:
    """Error for a preset that the caller does not have.

    Parameters
    ----------
    preset_id : str
    """
    return NotFoundError(f"you have no preset {preset_id[:100]}", code="PRESET_NOT_FOUND", field="preset_id")


def _refuse_builtin(preset_id: str) -> None:
    if preset_id in BUILTIN_PRESETS:
        raise ForbiddenError(
            f"{preset_id} comes with Studio and cannot be changed; create a preset of your own",
            code="PRESET_IS_BUILTIN",
            field="preset_id",
        )


def to_response(preset: Preset) -> PresetResponse:
    """Tell a stored preset as the API does.

    Parameters
    ----------
    preset : Preset
    """
    return PresetResponse(
        preset_id=preset.id,
        name=preset.name,
        description=preset.description,
        is_builtin=False,
        kind="sliders" if preset.lut_size is None else "lut",
        adjustments=None if preset.adjustments is None else read_adjustments(preset.adjustments),
        lut_size=preset.lut_size,
        created_at=preset.created_at,
        updated_at=preset.updated_at,
    )


def _builtin_to_response(preset: BuiltinPreset) -> PresetResponse:
    return PresetResponse(
        preset_id=preset.id,
        name=preset.name,
        description=preset.description,
        is_builtin=True,
        kind="sliders",
        adjustments=preset.adjustments,
        lut_size=None,
        created_at=None,
        updated_at=None,
    )
