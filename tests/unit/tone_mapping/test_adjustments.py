import pytest
from pydantic import ValidationError

from studio.tone_mapping.adjustments import Adjustments


def test_every_slider_is_zero_by_default_and_says_what_it_does() -> None:
    for name, field in Adjustments.model_fields.items():
        assert field.default == 0
        assert field.description, name


@pytest.mark.parametrize(
    "sliders", [{"exposure": 5.01}, {"contrast": -101}, {"tint": 100.5}, {"clarity": 10}, {"exposure": float("nan")}]
)
def test_what_is_out_of_range_or_unknown_is_refused(sliders: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Adjustments(**sliders)


def test_scaled_scales_every_slider() -> None:
    half = Adjustments(exposure=1, contrast=-40, temperature=30).scaled(50)
    assert half == Adjustments(exposure=0.5, contrast=-20, temperature=15)
    assert half.scaled(0) == Adjustments()


def test_adjustments_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Adjustments().exposure = 1  # type: ignore[misc]
