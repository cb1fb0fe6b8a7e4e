"""Bodies of requests, taken as the API document has them."""

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError


def read_json(kind: Any, text: str) -> Any:
    """Validate JSON, converting nothing: neither ``"5"`` nor ``true`` is a number; 5.0 is an integer, as JSON has it.

    Parameters
    ----------
    kind : type
        A pydantic model, or whatever pydantic has an adapter for.
    text : str

    Returns
    -------
    object
        Of that type.

    Raises
    ------
    pydantic.ValidationError
    """
    adapter = _adapter(kind)
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        if not any(item["type"] == "int_type" and isinstance(item["input"], float) for item in error.errors()):
            raise
    return adapter.validate_json(json.dumps(json.loads(text, parse_float=whole)), strict=True)


def whole(text: str) -> float | int:
    """Read a JSON number that has a point: an integer where it is one.

    Parameters
    ----------
    text : str
    """
    value = float(text)
    return int(value) if value.is_integer() else value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
