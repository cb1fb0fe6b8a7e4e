"""What users call things."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

NAME_MAX = 100
_CONTROL = r"\x00-\x1f\x7f-\x9f"


def _check_characters(name: str) -> str:
    if re.search(f"[{_CONTROL}]", name):
        raise ValueError("a name has no control characters, such as tabs and line breaks")
    return name


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_MAX),
    AfterValidator(_check_characters),
    Field(json_schema_extra={"pattern": rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"}),
]


def make_name(text: str) -> str:
    """Make a name of a text that may be none, such as a file's title.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        A `Name`; empty where nothing is left of the text.
    """
    return re.sub(f"[{_CONTROL}]", " ", text)[:NAME_MAX].strip()
