"""Ranges of dataclasses' fields, by the names that pydantic has for them, too."""

from dataclasses import fields
from typing import Any


def check_ranges(values: Any) -> None:
    """Refuse what is beyond the ``ge`` and ``le`` that a field's metadata names.

    Parameters
    ----------
    values : dataclass

    Raises
    ------
    ValueError
        Names the field, its range and what was given. NaN is in no range.
    """
    for field in fields(values):
        value = getattr(values, field.name)
        if "ge" in field.metadata and value is not None and not field.metadata["ge"] <= value <= field.metadata["le"]:
            raise ValueError(f"{field.name} is {field.metadata['ge']:g} to {field.metadata['le']:g}, got {value:g}")
