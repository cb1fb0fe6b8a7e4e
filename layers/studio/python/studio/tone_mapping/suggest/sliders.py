"""What a language model fills in, and what is made of it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment
from studio.tone_mapping.read_adjustments import read_adjustments
from studio.tone_mapping.suggest.models import ClampedSlider

# The temperature is said once, and curves are no matter of words.
_LEFT_OUT = {"temperature_kelvin", "tone_curve", "hsl"}
_PLAIN = [slider for slider in fields(Adjustments) if slider.name not in _LEFT_OUT]
_HUE = fields(HueAdjustment)
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def _unlimited(sliders: Sequence[dataclasses.Field[float]]) -> dict[str, Any]:
    """Return fields for the same sliders, their ranges in words only: what is beyond them is clamped, not lost."""
    described = "{ge:g} to {le:g}, 0 at rest. {description}"
    return {slider.name: (float, Field(description=described.format_map(slider.metadata))) for slider in sliders}


HueSuggestion: type[BaseModel] = create_model(
    "HueSuggestion",
    __config__=_STRICT,
    range=(Literal[tuple(hue.name for hue in fields(Hsl))], Field(description="The range of hues.")),
    **_unlimited(_HUE),
)
Suggestion: type[BaseModel] = create_model(
    "Suggestion",
    __config__=_STRICT,
    # First, so that the sliders follow from it.
    reason=(str, Field(description="Why these sliders, in one or two sentences, in the language of the words.")),
    **_unlimited(_PLAIN),
    hsl=(list[HueSuggestion], Field(description="Only ranges of hues that are to change, each once.")),
)


def to_adjustments(suggestion: BaseModel) -> tuple[Adjustments, list[ClampedSlider]]:
    """Bring a suggestion into the sliders' ranges.

    Parameters
    ----------
    suggestion : Suggestion

    Returns
    -------
    adjustments : Adjustments
    clamped : list of ClampedSlider
        Those that were beyond.
    """
    given = suggestion.model_dump()
    clamped: list[ClampedSlider] = []

    def clamp(sliders: Sequence[dataclasses.Field[float]], values: dict[str, float], path: str) -> dict[str, float]:
        kept = {}
        for slider in sliders:
            value, low, high = values[slider.name], slider.metadata["ge"], slider.metadata["le"]
            kept[slider.name] = round(min(max(value, low), high), 2)
            if not low <= value <= high:
                clamped.append(ClampedSlider(field=path + slider.name, suggested=value, used=kept[slider.name]))
        return kept

    plain = clamp(_PLAIN, given, "")
    hsl = {hue["range"]: clamp(_HUE, hue, f"hsl.{hue['range']}.") for hue in given["hsl"]}
    return read_adjustments({**plain, "hsl": hsl}), clamped
