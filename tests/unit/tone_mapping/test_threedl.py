from pathlib import Path

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.cube import apply_imported
from studio.tone_mapping.errors import PresetFileError, PresetFileTooLargeError
from studio.tone_mapping.lut import Lut, compile_lut, identity_lut
from studio.tone_mapping.threedl import read_3dl

SMOOTH = compile_lut(Adjustments(exposure=0.3, temperature=30, saturation=20), 17)
GRID_17 = "0 64 128 192 256 320 384 448 512 576 640 704 768 832 896 960 1023"
COLOURS = np.random.default_rng(0).random((500, 3), dtype=np.float32)

TWO = ["0 0 0", "0 0 1023", "0 1023 0", "0 1023 1023", "1023 0 0", "1023 0 1023", "1023 1023 0", "1023 1023 1023"]
"""The rows of the identity with two nodes an axis, in 10 bits."""


def two(*header: str) -> str:
    return "\n".join([*header, "0 1023", *TWO, ""])


def read_lut(text: str) -> Lut:
    """Read a file whose nodes are evenly spaced."""
    imported = read_3dl(text)
    assert imported.lut is not None
    assert imported.shaper is None
    return imported.lut


def rows(lut: Lut, white: int) -> str:
    return "".join("{} {} {}\n".format(*row) for row in np.rint(lut.reshape(-1, 3) * white).astype(int).tolist())


@pytest.mark.parametrize(
    ("text", "white"),
    [
        pytest.param(f"# Flame\n{GRID_17}\n" + rows(SMOOTH, 1023), 1023, id="10 bits"),
        pytest.param(f"{GRID_17}\n" + rows(SMOOTH, 4095), 4095, id="12 bits"),
        pytest.param(f"{GRID_17}\n" + rows(SMOOTH, 65535), 65535, id="16 bits"),
        pytest.param(
            f"#Tokens required by applications - do not edit\n3DMESH\nMesh 4 12\n{GRID_17}\n\n\n"
            + rows(SMOOTH, 4095)
            + "\n#Tokens\n\nLUT8\ngamma 1.0\n",
            4095,
            id="Lustre",
        ),
    ],
)
def test_opencolorio_reads_the_same_look(text: str, white: int, tmp_path: Path) -> None:
    path = tmp_path / "look.3dl"
    path.write_text(text)
    by_opencolorio = COLOURS.copy()
    transform = ocio.FileTransform(str(path), interpolation=ocio.INTERP_TETRAHEDRAL)
    ocio.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor().applyRGB(by_opencolorio.reshape(-1))

    np.testing.assert_allclose(read_lut(text), SMOOTH, atol=0.51 / white)
    np.testing.assert_allclose(apply_imported(read_3dl(text), COLOURS), by_opencolorio, atol=2e-6)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(two(), id="plain"),
        pytest.param("\ufeff" + two(), id="byte order mark"),
        pytest.param(two().replace("\n", "\r\n"), id="CR LF"),
        pytest.param(two().replace("\n", "\r"), id="CR"),
        pytest.param(two().replace("\n", " \t\n\n# note\n"), id="blank lines and comments"),
        pytest.param(two().replace(" ", "\t\t"), id="tabs"),
        pytest.param(two("3DMESH", "Mesh 0 10"), id="mesh"),
        pytest.param(two("# note", "3dmesh", "mesh 0 10  # note") + "LUT8\ngamma 1.0", id="gamma"),
        pytest.param("\n".join(TWO), id="no inputs"),
        pytest.param(two().replace("1023", "255"), id="8 bits"),
        pytest.param(two().replace("1023", "16383"), id="14 bits"),
    ],
)
def test_dialects_of_one_lut(text: str) -> None:
    np.testing.assert_array_equal(read_lut(text), identity_lut(2))


def test_mesh_gives_the_white_of_a_dark_look() -> None:
    dark = two().replace("1023", "900")
    assert read_lut(dark).max() == np.float32(900 / 1023)
    assert read_lut("Mesh 1 12\n" + dark).max() == np.float32(900 / 4095)


@pytest.mark.parametrize("white", [255, 1023, 4095, 16383])
def test_one_above_white_is_no_more_bits(white: int) -> None:
    scaled = two().replace("1023", str(white + 1))
    np.testing.assert_allclose(read_lut(scaled), identity_lut(2) * (white + 1) / white, rtol=1e-6)


def test_blue_runs_fastest() -> None:
    lut = read_lut("0 255\n1 2 3\n4 5 6\n7 8 9\n10 11 12\n13 14 15\n16 17 18\n19 20 21\n22 23 24")
    np.testing.assert_array_equal(np.rint(lut[0, 0, 1] * 255), [4, 5, 6])
    np.testing.assert_array_equal(np.rint(lut[0, 1, 0] * 255), [7, 8, 9])
    np.testing.assert_array_equal(np.rint(lut[1, 0, 0] * 255), [13, 14, 15])


def test_three_nodes_are_told_from_a_first_row() -> None:
    body = rows(identity_lut(3), 1023)
    np.testing.assert_allclose(read_lut("0 512 1023\n" + body), identity_lut(3), atol=0.001)
    np.testing.assert_allclose(read_lut(body), identity_lut(3), atol=0.001)


def test_uneven_inputs_become_a_shaper() -> None:
    """The table holds a curve at the inputs; between them it is followed in straight lines."""
    inputs = np.array([0, 100, 300, 700, 1023], np.float32)
    curve = (inputs / 1023) ** 2
    lut = np.stack(np.meshgrid(curve, curve, curve, indexing="ij"), axis=-1)
    imported = read_3dl(" ".join(f"{value:.0f}" for value in inputs) + "\n" + rows(lut.astype(np.float32), 65535))
    assert imported.shaper is not None
    want = np.interp(COLOURS, inputs / 1023, curve)
    np.testing.assert_allclose(apply_imported(imported, COLOURS), want, atol=2e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file has no table of numbers"),
        ("3DMESH\nMesh 4 12\n", "the file has no table of numbers"),
        ("0 1023", "the file has no table of numbers"),
        ("TITLE x", 'line 1: expected 3DMESH, Mesh with two numbers, or inputs, got "TITLE x"'),
        ("Mesh 4", 'line 1: expected 3DMESH, Mesh with two numbers, or inputs, got "Mesh 4"'),
        ("5 5 9\n" + "0 0 0\n" * 27, 'line 1: inputs must rise, got "5 5 9"'),
        ("Mesh 4 17\n", "line 1: Mesh may give 8 to 16 bits of output, got 17"),
        (two().replace("0 1023\n", "0 0.5\n", 1), 'line 1: expected whole numbers from 0 to 65535, got "0 0.5"'),
        (two().replace("0 1023\n", "0 70000\n", 1), 'line 1: expected whole numbers from 0 to 65535, got "0 70000"'),
        (two().replace("0 1023\n", "1023 0\n", 1), 'line 1: inputs must rise, got "1023 0"'),
        (two().replace("0 1023 0", "0 1023"), 'line 4: expected three numbers, got "0 1023"'),
        (two("#", "").replace("0 1023 0", "0 x 0"), 'line 6: expected three numbers, got "0 x 0"'),
        (
            two("#", "").replace("0 0 1023\n", "\n0 0 -1\n", 1),
            'line 6: expected three whole numbers from 0 to 65535, got "0 0 -1"',
        ),
        (
            two().replace("0 0 1023", "0 0 0.5", 1),
            'line 3: expected three whole numbers from 0 to 65535, got "0 0 0.5"',
        ),
        (
            two().replace("0 0 1023", "0 0 65536", 1),
            'line 3: expected three whole numbers from 0 to 65535, got "0 0 65536"',
        ),
        (two() + "0 0 0", "a LUT of 2 nodes an axis has 8 rows of numbers, got 9"),
        (f"{GRID_17}\n0 0 0", "a LUT of 17 nodes an axis has 4913 rows of numbers, got 1"),
        ("7\n0 0 0", "line 1: a LUT may have 2 to 129 nodes an axis, got 1"),
        ("0 0 0", "line 1: a LUT may have 2 to 129 nodes an axis, got 1"),
        (" ".join(map(str, range(130))) + "\n0 0 0", "line 1: a LUT may have 2 to 129 nodes an axis, got 130"),
    ],
)
def test_errors_say_what_is_wrong_and_where(text: str, message: str) -> None:
    with pytest.raises(PresetFileError) as caught:
        read_3dl(text)
    assert caught.value.message == message


def test_limits_are_parameters() -> None:
    text = two()
    assert read_3dl(text, max_size=2, max_characters=len(text)).lut is not None
    with pytest.raises(PresetFileTooLargeError):
        read_3dl(text, max_characters=len(text) - 1)
    with pytest.raises(PresetFileError, match="2 to 16 nodes an axis, got 17"):
        read_3dl(f"{GRID_17}\n" + rows(SMOOTH, 1023), max_size=16)


@given(
    st.integers(2, 4),
    st.sampled_from([255, 1023, 4095, 16383, 65535]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=50)
def test_reading_gives_back_what_was_written(size: int, white: int, seed: int) -> None:
    values: NDArray[np.int64] = np.random.default_rng(seed).integers(0, white + 1, (size, size, size, 3))
    values[0, 0, 0] = white
    inputs = " ".join(str(round(node * white)) for node in np.linspace(0, 1, size))
    lut = read_lut(f"{inputs}\n" + "".join("{} {} {}\n".format(*row) for row in values.reshape(-1, 3).tolist()))
    np.testing.assert_array_equal(np.rint(lut * white), values)


LINES = st.one_of(
    st.text(max_size=20),
    st.text("0123456789 .-\t#", max_size=12),
    st.sampled_from([*TWO, "0 1023", "0 512 1023", "3DMESH", "Mesh 1 10", "gamma 1.0", "LUT8", "0", "0 1", "5 1"]),
)


HEADED = st.builds(
    lambda grid, count: " ".join(map(str, grid)) + "\n" + "0 7 99\n" * count,
    st.lists(st.integers(0, 70000), min_size=2, max_size=4),
    st.sampled_from([8, 27, 64]),
)


@given(st.one_of(st.text(), st.lists(LINES, max_size=14).map("\n".join), HEADED))
@settings(deadline=None, max_examples=400)
def test_garbage_raises_nothing_but_our_error(text: str) -> None:
    try:
        imported = read_3dl(text)
    except PresetFileError:
        return
    assert np.isfinite(apply_imported(imported, COLOURS)).all()
