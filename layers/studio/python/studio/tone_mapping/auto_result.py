"""What an automatic choice of sliders comes to."""

from dataclasses import dataclass

from studio.tone_mapping.adjustments import Adjustments


@dataclass(frozen=True)
class Step:
    """One decision."""

    name: str
    applied: bool
    reason: str


@dataclass(frozen=True)
class AutoResult:
    """The sliders chosen, how sure that choice is (0..1), and why."""

    adjustments: Adjustments
    confidence: float
    steps: tuple[Step, ...]
