"""Names with control characters are refused by whatever takes a name."""

from typing import Any

import pytest

from tests.api.test_presets import NEGATIVE


@pytest.mark.parametrize(
    ("route", "field", "body"),
    [
        ("/auth/api-keys", "name", {}),
        ("/tone-mapping/presets", "name", {"adjustments": {}}),
        ("/tone-mapping/presets/import", "name", {"content": NEGATIVE}),
        ("/tone-mapping/lut", "title", {"adjustments": {}}),
        ("/minimatics/projects", "name", {"shots": []}),
        ("/minimatics/projects/prj_1/duplicate", "name", {}),
    ],
)
def test_the_refusal_names_the_field(user: Any, route: str, field: str, body: dict[str, Any]) -> None:
    answer = user.http.post(route, json=body | {field: "two\nlines"})
    assert answer.status_code == 422
    told = {item["field"]: item["message"] for item in answer.json()["error"]["details"]}
    assert told[field].startswith("a name has no control characters")


def test_the_title_of_a_file_loses_them(user: Any) -> None:
    content = f'TITLE "A\tB\x07"\n{NEGATIVE}'
    preset = user.http.post("/tone-mapping/presets/import", json={"content": content}).raise_for_status().json()
    assert preset["name"] == "A B"


def test_a_description_has_lines(user: Any) -> None:
    body = {"name": "N", "description": "two\nlines\tand a tab", "adjustments": {}}
    preset = user.http.post("/tone-mapping/presets", json=body).raise_for_status().json()
    assert preset["description"] == body["description"]
