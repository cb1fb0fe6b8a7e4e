"""What a project names must be there: pictures and recordings of the caller's, presets."""

from collections.abc import Iterator, Mapping
from typing import Any

from studio import storage
from studio.caller import Caller
from studio.object_keys import is_own, own_prefix
from studio.tone_mapping.presets import repository as presets
from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS

FieldPath = tuple[str | int, ...]
Problem = tuple[FieldPath, Mapping[str, Any]]


def find_missing(caller: Caller, given: Mapping[str, Any], refused: set[FieldPath]) -> list[Problem]:
    """Find what a project names and the caller does not have.

    Parameters
    ----------
    caller : Caller
    given : mapping
        A project as it was sent, whatever may be wrong with it.
    refused : set of path
        What is wrong in itself already, and not looked for.

    Returns
    -------
    list of (path, error)
        As pydantic tells errors, and in the project's order.
    """
    objects = {path: key for path, key in _objects(given) if path not in refused}
    looks = {path: preset_id for path, preset_id in _presets(given) if path not in refused}
    own = {key for key in objects.values() if is_own(caller, key)}
    there = storage.find_existing(own_prefix(caller.user_id), own)
    known = BUILTIN_PRESETS.keys() | presets.find_existing(set(looks.values()) - BUILTIN_PRESETS.keys(), caller.user_id)
    problems = [(path, _missing("you have no such object", key)) for path, key in objects.items() if key not in there]
    problems += [
        (path, _missing("there is no such look, and you have no such preset", preset_id))
        for path, preset_id in looks.items()
        if preset_id not in known
    ]
    return problems


def _objects(given: Mapping[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    for part, name in (("shots", "image_key"), ("audio", "audio_key")):
        for number, item in _items(given, part):
            if isinstance(key := item.get(name), str):
                yield (part, number, name), key


def _presets(given: Mapping[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    for number, shot in _items(given, "shots"):
        grade = shot.get("grade")
        if isinstance(grade, Mapping) and isinstance(preset_id := grade.get("preset_id"), str):
            yield ("shots", number, "grade", "preset_id"), preset_id


def _items(given: Mapping[str, Any], part: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    items = given.get(part)
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Mapping):
            yield number, item


def _missing(message: str, given: str) -> Mapping[str, Any]:
    return {"type": "not_found", "msg": message, "input": given}
