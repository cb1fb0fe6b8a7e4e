"""Choosing the sliders: rules over an analysis, each with its reason."""

from dataclasses import dataclass

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import Analysis


@dataclass(frozen=True)
class Step:
    """One decision."""

    name: str
    applied: bool
    reason: str


@dataclass(frozen=True)
class AutoResult:
    """The sliders chosen, how sure the rules are (0..1), and why."""

    adjustments: Adjustments
    confidence: float
    steps: tuple[Step, ...]


def choose(analysis: Analysis) -> AutoResult:
    """Choose sliders for a picture; zero for what is good already."""
    return AutoResult(Adjustments(), 1.0, ())
