"""Sliders from values that others made: requests have them validated with their models, all else here."""

from typing import Any

from pydantic import TypeAdapter

from studio.tone_mapping.adjustments import Adjustments

_adapter = TypeAdapter(Adjustments)


def read_adjustments(values: Any) -> Adjustments:
    """Make sliders of what a document or a file says they are.

    Parameters
    ----------
    values : mapping of str to object
        As `dataclasses.asdict` gives them; those left out are at rest.

    Returns
    -------
    Adjustments

    Raises
    ------
    pydantic.ValidationError
        Names every slider that there is not, or that is out of its range.
    """
    return _adapter.validate_python(values)
