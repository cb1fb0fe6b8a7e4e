import colorsys
import json
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.grade import grade
from studio.tone_mapping.look import Grade, Table, compile_look, look_size, spatial_sliders
from studio.tone_mapping.lut import Lut, compile_lut, identity_lut
from studio.tone_mapping.lut_table import write_json, write_png
from studio.tone_mapping.preset_file import read_preset
from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS

COLOURS = np.random.default_rng(2).random((1, 4000, 3), dtype=np.float32)


def through(lut: Lut) -> NDArray[Any]:
    return apply_lut(COLOURS[..., ::-1], lut)[..., ::-1]


def negative(size: int = 2) -> Table:
    return Table(1 - identity_lut(size))


def test_no_grades_are_the_identity() -> None:
    assert (compile_look([], 17) == identity_lut(17)).all()
    assert (compile_look([Adjustments(), Adjustments()], 17) == identity_lut(17)).all()


@given(
    st.builds(Adjustments, exposure=st.floats(-1, 0.5), contrast=st.integers(-30, 30)),
    st.builds(Adjustments, temperature=st.integers(-30, 30), saturation=st.integers(-40, 20)),
)
@settings(max_examples=25, deadline=None)
def test_a_look_is_one_grade_after_another(first: Adjustments, second: Adjustments) -> None:
    exact = grade(grade(COLOURS, first), second)
    assert np.abs(through(compile_look([first, second], 65)) - exact).mean() < 0.5 / 255


def test_order_matters() -> None:
    grey, warm = Adjustments(saturation=-100), Adjustments(temperature=60)
    assert np.ptp(through(compile_look([warm, grey], 33)), axis=-1).max() < 1e-3
    assert np.ptp(through(compile_look([grey, warm], 33)), axis=-1).max() > 0.1


def test_a_table_is_applied_and_then_graded_on() -> None:
    np.testing.assert_allclose(through(compile_look([negative()], 33)), 1 - COLOURS, atol=1e-5)
    darker = Adjustments(exposure=-1)
    np.testing.assert_allclose(
        through(compile_look([negative(), darker], 65)), grade(1 - COLOURS, darker), atol=1.5 / 255
    )


@pytest.mark.parametrize("strength", [0, 25, 100])
def test_strength_goes_part_of_every_colours_way(strength: float) -> None:
    table = Table(negative().lut, strength)
    expected = COLOURS + (1 - 2 * COLOURS) * strength / 100
    np.testing.assert_allclose(through(compile_look([table], 33)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("grades", "size"),
    [
        ([], 33),
        ([Adjustments(exposure=0.5)], 33),
        ([Adjustments(exposure=0.5), Adjustments()], 33),
        ([negative(21)], 21),
        ([negative(21), Adjustments(contrast=5)], 65),
        ([Adjustments(contrast=5), Adjustments(contrast=5)], 65),
        ([negative(21), negative(21)], 65),
        ([negative(129), Adjustments(contrast=5)], 129),
        ([Adjustments(exposure=4), Adjustments(contrast=5)], 129),
        ([Adjustments(exposure=1)] * 3, 97),
        ([Adjustments(exposure=2), negative(), Adjustments(exposure=2)], 129),
        # What the first bends, the last would hide, were it not for the table between.
        ([Adjustments(exposure=3, shadows=88), negative(), Adjustments(exposure=-2, contrast=89, whites=-13)], 129),
        ([Adjustments(exposure=0.5), Adjustments(clarity=50)], 33),
    ],
)
def test_size(grades: list[Grade], size: int) -> None:
    assert look_size(grades, 8) == size


@pytest.mark.parametrize("grades", [[Adjustments(exposure=2)] * 2, [Adjustments(exposure=1, shadows=50)] * 2])
def test_a_look_of_grades_that_add_up_is_close_to_them(grades: list[Adjustments]) -> None:
    """By 65 nodes, which each takes alone, dark colours would be off by 1.7 and 1.6."""
    dark = COLOURS * np.float32(0.3)
    exact = dark
    for adjustments in grades:
        exact = grade(exact, adjustments)
    by_lut = apply_lut(np.ascontiguousarray(dark[..., ::-1]), compile_look(grades, look_size(grades, 8)))[..., ::-1]
    assert np.percentile(deltaE_ciede2000(rgb2lab(exact), rgb2lab(by_lut)), 99.9) <= 1.5


def test_a_lone_table_is_kept_exactly() -> None:
    table = Table(compile_lut(Adjustments(contrast=40), 21))
    np.testing.assert_allclose(compile_look([table], 21), table.lut, atol=1e-6)


def test_spatial_sliders_add_up_and_stay_in_range() -> None:
    grades: list[Grade] = [Adjustments(clarity=70, texture=-5), negative(), Adjustments(clarity=70, dehaze=3)]
    assert spatial_sliders(grades) == {"clarity": 100, "texture": -5, "dehaze": 3}


def test_spatial_sliders_do_not_reach_the_lut() -> None:
    plain = compile_look([Adjustments(contrast=10), Adjustments(exposure=0.1)], 17)
    spatial = compile_look([Adjustments(contrast=10, clarity=50), Adjustments(exposure=0.1, dehaze=9)], 17)
    assert (plain == spatial).all()


def test_a_png_of_a_lut_has_blue_slices_side_by_side() -> None:
    decoded = cv2.imdecode(np.frombuffer(write_png(identity_lut(16)), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded.shape == (16, 256, 3)
    red, green, blue = 3, 7, 11
    assert decoded[green, blue * 16 + red].tolist() == [red * 17, green * 17, blue * 17]


def test_json_of_a_lut_runs_red_fastest() -> None:
    table = np.array(json.loads(write_json(identity_lut(5)))).reshape(5, 5, 5, 3)
    np.testing.assert_allclose(table[1, 2, 3], [3 / 4, 2 / 4, 1 / 4])


def passing() -> Lut:
    """Return what a .cube of the values -0.1..1.2 comes to."""
    rows = "\n".join(" ".join(f"{axis * 1.3 - 0.1:.3f}" for axis in (r, g, b)) for b, g, r in np.ndindex(2, 2, 2))
    lut = read_preset(f"LUT_3D_SIZE 2\n{rows}\n", "cube").lut
    assert lut is not None
    assert (lut.min(), lut.max()) == (pytest.approx(-0.1), pytest.approx(1.2))
    return lut


def test_what_passes_the_range_is_clipped_in_a_preview() -> None:
    decoded = cv2.imdecode(np.frombuffer(write_png(passing()), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[1, 3].tolist() == [255, 255, 255]
    table = json.loads(write_json(passing()))
    assert (min(table), max(table)) == (0, 1)


def test_what_passes_the_range_is_clipped_before_it_is_mixed() -> None:
    mixed = compile_look([Table(passing(), 50)], 33)
    full = compile_look([Table(passing(), 100)], 33).clip(0, 1)
    np.testing.assert_allclose(mixed, (identity_lut(33) + full) / 2, atol=1e-5)
    assert (mixed.min(), mixed.max()) == (0, 1)


@pytest.mark.parametrize("then", [Adjustments(exposure=-1), Adjustments(blacks=50), negative()])
def test_what_passes_the_range_is_clipped_before_the_next_grade(then: Grade) -> None:
    nearly, full = (compile_look([Table(passing(), strength), then], 33) for strength in (99.99, 100))
    np.testing.assert_allclose(full, nearly, atol=2e-3)


def test_what_passes_the_range_is_kept_before_sliders_at_rest() -> None:
    alone, at_rest = (compile_look([Table(passing()), *then], 33) for then in ([], [Adjustments(clarity=20)]))
    assert (at_rest == alone).all()


@pytest.mark.parametrize("preset", BUILTIN_PRESETS.values(), ids=BUILTIN_PRESETS)
def test_builtin_looks_keep_tones_in_order_and_colours_in_gamut(preset: Any) -> None:
    greys = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[:, None], 3, axis=1)
    graded = grade(greys, preset.adjustments.without_spatial())
    luma = graded @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert np.diff(luma).min() > -1e-4
    assert luma[-1] - luma[0] > 0.45, "a look leaves contrast"
    assert preset.description.endswith(".")
    assert preset.name == preset.name.strip() != ""


@pytest.mark.parametrize(
    ("code", "hue"), [((120, 150, 60), 56), ((105, 130, 55), 56), ((220, 190, 60), 36), ((190, 135, 105), 21)]
)
def test_autumn_turns_leaves_to_gold_and_gold_to_rust_but_not_skin(code: tuple[int, ...], hue: float) -> None:
    colour = np.array([code], np.float32) / 255
    graded = grade(colour, BUILTIN_PRESETS["builtin_autumn"].adjustments)[0]
    assert colorsys.rgb_to_hsv(*map(float, graded))[0] * 360 == pytest.approx(hue, abs=3)
