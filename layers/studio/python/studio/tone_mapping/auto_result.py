"""What an automatic choice of sliders comes to."""

from typing import NamedTuple

from studio.tone_mapping.adjustments import Adjustments


class Step(NamedTuple):
    """One decision."""

    name: str
    applied: bool
    reason: str


class AutoResult(NamedTuple):
    """The sliders chosen, how sure that choice is (0..1), and why."""

    adjustments: Adjustments
    confidence: float
    steps: tuple[Step, ...]
