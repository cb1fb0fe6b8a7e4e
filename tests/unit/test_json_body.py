from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from studio.json_body import read_json
from studio.minimatics.models import Project
from studio.tone_mapping.read_adjustments import read_adjustments


class Order(BaseModel):
    count: int = 1
    share: float = 0
    urgent: bool = False


@pytest.mark.parametrize(
    "text",
    ['{"count": "1"}', '{"count": true}', '{"count": 1.5}', '{"share": "1"}', '{"share": true}', '{"urgent": 1}'],
)
def test_nothing_is_converted(text: str) -> None:
    with pytest.raises(ValidationError):
        read_json(Order, text)


def test_numbers_are_numbers_however_they_are_written() -> None:
    assert read_json(Order, '{"count": 2.0, "share": 1}') == Order(count=2, share=1)
    assert read_json(Order, '{"count": 2.0, "share": 1.5}') == Order(count=2, share=1.5)
    assert read_json(Order | None, "null") is None


@pytest.mark.parametrize("text", ['{"count": ' + "9" * 5000 + "}", "[" * 100_000, '{"count": "\\ud800"}', "{", ""])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        read_json(Order, text)
    assert [problem["type"] for problem in refusal.value.errors()] == ["json_invalid"]


@pytest.mark.parametrize("value", ["1", True])
def test_sliders_and_projects_convert_nothing_either(value: Any) -> None:
    for wrong in ({"exposure": value}, {"hsl": {"red": {"hue": value}}}, {"tone_curve": {"rgb": [[0, 0], [1, value]]}}):
        with pytest.raises(ValidationError):
            read_adjustments(wrong)
    with pytest.raises(ValidationError):
        Project.model_validate({"shots": [{"image_key": "users/x", "duration_frames": value}]})
