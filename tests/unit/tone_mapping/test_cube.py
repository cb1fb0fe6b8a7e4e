import numpy as np
from PIL import Image, ImageFilter

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.cube import write_cube
from studio.tone_mapping.lut import compile_lut

LUT = compile_lut(Adjustments(exposure=0.7, temperature=30, saturation=20), 9)


def test_red_runs_fastest_at_six_decimals() -> None:
    lines = write_cube(LUT, "A look").splitlines()
    assert lines[0] == 'TITLE "A look"'
    assert "LUT_3D_SIZE 9" in lines
    rows = np.array([[float(value) for value in line.split()] for line in lines if line[:1].isdigit()])
    assert rows.shape == (9**3, 3)
    np.testing.assert_allclose(rows[1], LUT[1, 0, 0], atol=6e-7)
    np.testing.assert_allclose(rows[9], LUT[0, 1, 0], atol=6e-7)
    np.testing.assert_allclose(rows[81], LUT[0, 0, 1], atol=6e-7)
    assert all(len(value.split(".")[1]) == 6 for value in lines[-1].split())


def test_a_title_cannot_break_out() -> None:
    text = write_cube(LUT, 'x"\nLUT_3D_SIZE 2\r')
    assert text.count("LUT_3D_SIZE 9") == 1
    assert text.splitlines()[0] == 'TITLE "x  LUT_3D_SIZE 2 "'


def test_pillow_grades_with_it_as_we_do() -> None:
    """A reader other than ours gets the same picture, which settles the order of the axes."""
    rows = [line for line in write_cube(LUT, "t").splitlines() if line[:1].isdigit()]
    table = [float(value) for row in rows for value in row.split()]
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    by_pillow = np.asarray(Image.fromarray(rgb).filter(ImageFilter.Color3DLUT(9, table)))
    by_us = apply_lut(rgb[..., ::-1], LUT)[..., ::-1]

    # Pillow interpolates in cubes and we in tetrahedra.
    assert np.abs(by_pillow.astype(int) - by_us.astype(int)).mean() < 1
