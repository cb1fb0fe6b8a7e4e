"""Words to sliders: the form that a language model fills in, and what is made of it."""

import json
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, ValidationError

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment
from studio.tone_mapping.read_adjustments import read_adjustments
from studio.tone_mapping.suggest.models import SuggestRequest
from studio.tone_mapping.suggest.sliders import HueSuggestion, Suggestion, to_adjustments

PLAIN = {slider.name for slider in fields(Adjustments)} - {"temperature_kelvin", "tone_curve", "hsl"}
AT_REST = {"reason": "", "hsl": [], **dict.fromkeys(PLAIN, 0.0)}
ANY = st.floats(allow_nan=False, allow_infinity=False)


def suggestion(**sliders: Any) -> BaseModel:
    return Suggestion.model_validate(AT_REST | sliders)


def test_the_form_asks_for_every_slider_and_tells_its_range() -> None:
    schema: dict[str, Any] = to_strict_json_schema(Suggestion)
    assert schema["required"][0] == "reason"
    assert set(schema["required"]) == PLAIN | {"reason", "hsl"}
    assert schema["properties"]["exposure"]["description"].startswith("-5 to 5, 0 at rest. Brightness in EV")
    hue = schema["$defs"]["HueSuggestion"]
    assert hue["properties"]["range"]["enum"] == [hue.name for hue in fields(Hsl)]
    assert set(hue["required"]) == {"range", "hue", "saturation", "luminance"}
    assert schema["additionalProperties"] is hue["additionalProperties"] is False
    # Providers that know of limits would hold the model to them, others refuse such a schema.
    assert "minimum" not in json.dumps(schema)
    assert "default" not in json.dumps(schema)


def test_within_their_ranges_sliders_stay_as_they_are() -> None:
    hues = [{"range": "blue", "hue": -5, "saturation": 10, "luminance": -100}]
    adjustments, clamped = to_adjustments(suggestion(exposure=-5, temperature=12.5, hsl=hues))
    expected = Hsl(blue=HueAdjustment(hue=-5, saturation=10, luminance=-100))
    assert adjustments == Adjustments(exposure=-5, temperature=12.5, hsl=expected)
    assert clamped == []


def test_beyond_their_ranges_they_are_clamped_and_told() -> None:
    hues = [{"range": "red", "hue": 100.01, "saturation": 0, "luminance": -1e300}]
    adjustments, clamped = to_adjustments(suggestion(exposure=7, tint=-101, hsl=hues))
    assert (adjustments.exposure, adjustments.tint, adjustments.hsl.red.hue) == (5, -100, 100)
    assert [(item.field, item.suggested, item.used) for item in clamped] == [
        ("exposure", 7, 5),
        ("tint", -101, -100),
        ("hsl.red.hue", 100.01, 100),
        ("hsl.red.luminance", -1e300, -100),
    ]


@given(
    sliders=st.fixed_dictionaries(dict.fromkeys(sorted(PLAIN), ANY)),
    hues=st.lists(
        st.fixed_dictionaries(
            {
                "range": st.sampled_from([hue.name for hue in fields(Hsl)]),
                "hue": ANY,
                "saturation": ANY,
                "luminance": ANY,
            }
        ),
        max_size=4,
    ),
)
@example(sliders=dict.fromkeys(sorted(PLAIN), 0.875), hues=[])
def test_whatever_is_suggested_can_be_applied(sliders: dict[str, float], hues: list[dict[str, Any]]) -> None:
    adjustments, clamped = to_adjustments(suggestion(**sliders, hsl=hues))
    assert read_adjustments(asdict(adjustments)) == adjustments
    told = {item.field for item in clamped}
    for name, value in sliders.items():
        assert abs(getattr(adjustments, name) - value) <= 0.005 + 1e-9 or name in told


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"a lot"', "null"])
def test_what_is_no_number_is_no_slider(value: str) -> None:
    text = json.dumps(AT_REST | {"exposure": "?"}).replace('"?"', value)
    with pytest.raises(ValidationError):
        Suggestion.model_validate_json(text)
    with pytest.raises(ValidationError):
        HueSuggestion.model_validate_json(f'{{"range": "red", "hue": {value}, "saturation": 0, "luminance": 0}}')


def test_a_request_has_words_and_at_most_one_picture() -> None:
    request = SuggestRequest(prompt="  warmer ")
    assert (request.prompt, request.image_field) == ("warmer", None)
    assert SuggestRequest(prompt="warmer", image_url="https://example.com/a.jpg").image_field == "image_url"
    for wrong in (
        {"prompt": " "},
        {"prompt": "x" * 1001},
        {"prompt": "a\0b"},
        {"prompt": "\ud800"},
        {"prompt": "x", "image": "a", "image_key": "b"},
    ):
        with pytest.raises(ValidationError):
            SuggestRequest.model_validate(wrong)
