"""What a language model fills in, and what is made of it."""

from typing import Any, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, create_model

from studio.tone_mapping.adjustments import Adjustments, Hsl, HueAdjustment
from studio.tone_mapping.suggest.models import ClampedSlider

# The temperature is said once, and curves are no matter of words.
_LEFT_OUT = {"temperature_kelvin", "tone_curve", "hsl"}
_PLAIN = [name for name in Adjustments.model_fields if name not in _LEFT_OUT]
_HUE = list(HueAdjustment.model_fields)
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def _range(model: type[BaseModel], name: str) -> tuple[float, float]:
    metadata = model.model_fields[name].metadata
    [low] = [limit.ge for limit in metadata if isinstance(limit, Ge)]
    [high] = [limit.le for limit in metadata if isinstance(limit, Le)]
    return float(low), float(high)  # type: ignore[arg-type]


def _unlimited(model: type[BaseModel], names: list[str]) -> dict[str, Any]:
    """Return fields for the same sliders, their ranges in words only: what is beyond them is clamped, not lost."""
    fields: dict[str, Any] = {}
    for name in names:
        low, high = _range(model, name)
        described = f"{low:g} to {high:g}, 0 at rest. {model.model_fields[name].description}"
        fields[name] = (float, Field(description=described))
    return fields


HueSuggestion: type[BaseModel] = create_model(
    "HueSuggestion",
    __config__=_STRICT,
    range=(Literal[tuple(Hsl.model_fields)], Field(description="The range of hues.")),
    **_unlimited(HueAdjustment, _HUE),
)
Suggestion: type[BaseModel] = create_model(
    "Suggestion",
    __config__=_STRICT,
    # First, so that the sliders follow from it.
    reason=(str, Field(description="Why these sliders, in one or two sentences, in the language of the words.")),
    **_unlimited(Adjustments, _PLAIN),
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

    def clamp(model: type[BaseModel], names: list[str], values: dict[str, float], path: str) -> dict[str, float]:
        kept = {}
        for name in names:
            low, high = _range(model, name)
            kept[name] = round(min(max(values[name], low), high), 2)
            if not low <= values[name] <= high:
                clamped.append(ClampedSlider(field=path + name, suggested=values[name], used=kept[name]))
        return kept

    plain = clamp(Adjustments, _PLAIN, given, "")
    hsl = {hue["range"]: clamp(HueAdjustment, _HUE, hue, f"hsl.{hue['range']}.") for hue in given["hsl"]}
    return Adjustments.model_validate({**plain, "hsl": hsl}), clamped
