"""What users call things has no control characters, wherever it comes from."""

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from local import openapi
from studio.names import Name, make_name

NAME: TypeAdapter[str] = TypeAdapter(Name)
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


def test_no_control_character_is_in_a_name() -> None:
    for control in CONTROLS:
        with pytest.raises(ValidationError, match="a name has no control characters"):
            NAME.validate_python(f"a{control}b")


@pytest.mark.parametrize("name", ["Fox", "a", "狐 🦊", "naïve \u00a0 “x”", "e\u0301", "\u202eRTL", "x" * 100])
def test_all_else_is(name: str) -> None:
    assert NAME.validate_python(f" {name} ") == name


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_its_length(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


@pytest.mark.parametrize(
    ("title", "name"), [("A\tB\x07C\x85", "A B C"), (" x ", "x"), ("\r\n", ""), ("x" * 200, "x" * 100)]
)
def test_a_name_is_made_of_a_title(title: str, name: str) -> None:
    assert make_name(title) == name


def test_every_name_that_is_sent_is_one() -> None:
    document: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text())
    names = {
        f"{model}.{field}": re.findall(r'"pattern": "([^"]*)"', json.dumps(schema))
        for model, found in document["components"]["schemas"].items()
        if model.endswith("Request")
        for field, schema in found["properties"].items()
        if field in ("name", "title")
    }
    assert len(names) == 8
    pattern = NAME.json_schema()["pattern"]
    assert [where for where, found in names.items() if [json.loads(f'"{text}"') for text in found] != [pattern]] == []
