from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from studio.tone_mapping.adjustments import SPATIAL, Adjustments, Hsl, HueAdjustment, ToneCurve
from studio.tone_mapping.read_adjustments import read_adjustments
from tests.unit.tone_mapping.sliders import HUES

SLIDER = st.floats(-100, 100)
HSL = st.builds(Hsl, **{hue: st.builds(HueAdjustment, hue=SLIDER, saturation=SLIDER, luminance=SLIDER) for hue in HUES})


@st.composite
def points(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    codes = sorted(draw(st.sets(st.integers(0, 255), max_size=32)))
    return tuple((code / 255, draw(st.floats(0, 1))) for code in codes) if len(codes) > 1 else ()


CURVE = st.builds(ToneCurve, rgb=points(), red=points(), green=points(), blue=points())
ANY = st.builds(
    Adjustments,
    exposure=st.floats(-5, 5),
    contrast=SLIDER,
    temperature_kelvin=st.none() | st.floats(2000, 50_000),
    tone_curve=CURVE,
    hsl=HSL,
    clarity=SLIDER,
)


@pytest.mark.parametrize("model", [Adjustments, ToneCurve, Hsl, HueAdjustment])
def test_every_field_says_what_it_does_and_rests_by_default(model: Any) -> None:
    for slider in fields(model):
        assert slider.metadata["description"], slider.name
        if slider.type is float:
            assert slider.default == 0, slider.name
    assert model() == TypeAdapter(model).validate_python({})
    assert Adjustments().scaled(50) == Adjustments()


@pytest.mark.parametrize(
    "sliders",
    [
        {"exposure": 5.01},
        {"contrast": -101},
        {"tint": 100.5},
        {"clarity": 101},
        {"sharpness": 10},
        {"exposure": float("nan")},
        {"temperature_kelvin": 1999},
        {"temperature_kelvin": float("nan")},
        {"hsl": {"red": {"hue": -100.5}}},
        {"hsl": {"pink": {}}},
        {"tone_curve": {"luma": []}},
        {"tone_curve": {"red": [[0, 0], [1, 1.01]]}},
        {"tone_curve": {"red": [[0, 0], [1, float("nan")]]}},
        {"tone_curve": {"red": [[code / 255, 0] for code in range(33)]}},
    ],
)
def test_what_is_out_of_range_or_unknown_is_refused(sliders: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_adjustments(sliders)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ([[0.5, 0.5]], "2 to 32 points, got 1"),
        ([[0, 0], [0.5, 0.2], [0.5, 0.7]], "point 2 is at 0.5, point 3 at 0.5"),
        ([[0, 0], [0.5, 0.2], [0.25, 0.7]], "point 2 is at 0.5, point 3 at 0.25"),
        ([[0, 0], [0.003, 1]], "at least 1/256"),
    ],
)
def test_points_that_make_no_curve_are_refused_with_the_reason(curve: list[list[float]], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        read_adjustments({"tone_curve": {"blue": curve}})
    assert refused.value.errors()[0]["loc"] == ("tone_curve", "blue")
    with pytest.raises(ValueError, match=message):
        ToneCurve(blue=tuple((x, y) for x, y in curve))


def test_two_temperatures_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="temperature_kelvin and temperature say the same"):
        Adjustments(temperature=10, temperature_kelvin=5000)


@pytest.mark.parametrize("value", [5.5, -6, float("nan"), float("inf")])
def test_sliders_out_of_range_cannot_be_made(value: float) -> None:
    with pytest.raises(ValueError, match=f"exposure is -5 to 5, got {value:g}"):
        Adjustments(exposure=value)


def test_what_changes_nothing_is_written_one_way() -> None:
    assert Adjustments(temperature_kelvin=6504) == Adjustments()
    assert Adjustments(temperature=10, temperature_kelvin=6504) == Adjustments(temperature=10)
    assert ToneCurve(rgb=((0, 0), (0.25, 0.25), (1, 1))) == ToneCurve()
    assert ToneCurve(rgb=((0.1, 0.1), (1, 1))) != ToneCurve()  # flat below 0.1


def test_scaled_scales_every_slider() -> None:
    half = Adjustments(
        exposure=1,
        contrast=-40,
        temperature_kelvin=1e6 / (1e6 / 6504 + 100),
        tone_curve=ToneCurve(rgb=((0.1, 0), (0.5, 0.7), (0.9, 0.8)), blue=((0, 0.2), (1, 1))),
        hsl=Hsl(aqua=HueAdjustment(hue=-50, luminance=10)),
        dehaze=30,
    ).scaled(50)
    assert half.temperature_kelvin == pytest.approx(1e6 / (1e6 / 6504 + 50))
    rgb, blue = half.tone_curve.rgb, half.tone_curve.blue
    assert rgb == tuple(pytest.approx(point) for point in ((0.05, 0), (0.5, 0.6), (0.95, 0.9)))
    assert blue == ((0, 0.1), (1, 1))
    assert replace(half, temperature_kelvin=None, tone_curve=ToneCurve()) == Adjustments(
        exposure=0.5, contrast=-20, hsl=Hsl(aqua=HueAdjustment(hue=-25, luminance=5)), dehaze=15
    )


@given(ANY, st.floats(0, 100))
def test_any_sliders_scale_at_any_strength(sliders: Adjustments, strength: float) -> None:
    assert read_adjustments(asdict(sliders.scaled(strength))) == sliders.scaled(strength)
    assert sliders.scaled(100) == sliders
    assert sliders.scaled(0) == Adjustments()


@given(ANY)
def test_json_there_and_back_is_exact(sliders: Adjustments) -> None:
    adapter = TypeAdapter(Adjustments)
    assert adapter.validate_json(adapter.dump_json(sliders), strict=True) == sliders


@pytest.mark.parametrize("name", SPATIAL)
def test_spatial_sliders_are_told_from_those_of_the_lut(name: str) -> None:
    sliders = read_adjustments({name: 10, "exposure": 1})
    assert sliders.is_spatial
    assert not sliders.without_spatial().is_spatial
    assert sliders.without_spatial() == Adjustments(exposure=1)


def test_adjustments_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Adjustments().exposure = 1  # type: ignore[misc]
