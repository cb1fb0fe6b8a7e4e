"""Choosing the sliders: by the learned model, or by rules over an analysis; each with its reason.

The rules serve for pictures that are too small for the model, or unlike what it has learnt from; in black and white it
still has a say in them.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import MONOCHROME, Analysis
from studio.tone_mapping.auto_model import choose_by_model
from studio.tone_mapping.auto_result import AutoResult, Step
from studio.tone_mapping.auto_rules import choose_by_rules
from studio.tone_mapping.learned import Prediction

_BLANK = 0.04  # encoded tones from the darkest to the brightest, of a picture that has nothing in it

Group = Literal["tone", "white_balance", "colour"]

_SLIDERS: dict[Group, tuple[str, ...]] = {
    "tone": ("exposure", "contrast", "highlights", "shadows", "whites", "blacks"),
    "white_balance": ("temperature", "tint"),
    "colour": ("vibrance", "saturation"),
}
_GROUP_OF: dict[str, Group] = {
    **dict.fromkeys(("black_point", "white_point", "overexposure", "dark_middle", "contrast", "finish"), "tone"),
    "tone": "tone",  # of a match
    "white_balance": "white_balance",
    **dict.fromkeys(("vibrance", "saturation"), "colour"),
}


def choose(analysis: Analysis, prediction: Prediction | None = None) -> AutoResult:
    """Choose sliders for a picture; zero for what is good already.

    Parameters
    ----------
    analysis : Analysis
    prediction : Prediction | None
        What the model says of the same proxy; the rules choose where it is absent or not to be trusted.

    Returns
    -------
    AutoResult
    """
    if analysis.luma[99.9] - analysis.luma[0.1] < _BLANK:
        reason = f"All tones lie within {_BLANK:.0%}: there is nothing to judge by."
        return AutoResult(Adjustments(), confidence=0.5, steps=(Step("tone", False, reason),))
    if prediction is not None and _trusted(analysis):
        return choose_by_model(analysis, prediction)
    return choose_by_rules(analysis, prediction)


def _trusted(analysis: Analysis) -> bool:
    """Tell whether the picture is like what the model has learnt from: photographs in colour that are no night scene.

    The model has no measure of how strange a picture is to it; these are the kinds that were not among its lessons.
    """
    return analysis.chroma_90 >= MONOCHROME and analysis.night < 0.5


def skipping(result: AutoResult, groups: Collection[Group]) -> AutoResult:
    """Leave groups of sliders where they were.

    Parameters
    ----------
    result : AutoResult
    groups : collection of {"tone", "white_balance", "colour"}

    Returns
    -------
    AutoResult
        With those sliders at rest, and their steps not applied.
    """
    if not groups:
        return result
    at_rest: dict[str, Any] = {slider: 0.0 for group in groups for slider in _SLIDERS[group]}
    steps = tuple(
        step._replace(applied=False, reason=f"{step.reason} Skipped, as asked.")
        if step.applied and _GROUP_OF.get(step.name) in groups
        else step
        for step in result.steps
    )
    adjustments = replace(result.adjustments, **at_rest)
    return result._replace(adjustments=adjustments, steps=steps)
