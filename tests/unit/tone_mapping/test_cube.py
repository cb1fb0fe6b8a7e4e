from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.cube import ImportedLut, apply_imported, read_cube, write_cube
from studio.tone_mapping.errors import PresetFileError, PresetFileTooLargeError
from studio.tone_mapping.lut import compile_lut, identity_lut
from tests.speed import assert_quick

LUT = compile_lut(Adjustments(exposure=0.7, temperature=30, saturation=20), 9)
SMOOTH = compile_lut(Adjustments(exposure=0.3, contrast=15, temperature=20, saturation=10), 33)
RGB = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
FLOAT_RGB: NDArray[np.float32] = (RGB / 255).astype(np.float32)

TWO = ["0 0 0", "1 0 0", "0 1 0", "1 1 0", "0 0 1", "1 0 1", "0 1 1", "1 1 1"]
"""The rows of the identity with two nodes an axis."""


def two(*header: str) -> str:
    return "\n".join([*header, "LUT_3D_SIZE 2", *TWO, ""])


def by_opencolorio(text: str, folder: Path, rgb: NDArray[Any], suffix: str = ".cube") -> NDArray[np.float32]:
    """Grade with OpenColorIO's own reader of the file."""
    path = folder / f"look{suffix}"
    path.write_text(text)
    transform = ocio.FileTransform(str(path), interpolation=ocio.INTERP_TETRAHEDRAL)
    config = ocio.Config.CreateRaw()
    graded = rgb.astype(np.float32)
    config.getProcessor(transform).getDefaultCPUProcessor().applyRGB(graded.reshape(-1))
    return np.clip(graded, 0, 1)


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

    by_pillow = np.asarray(Image.fromarray(RGB).filter(ImageFilter.Color3DLUT(9, table)))
    by_us = apply_lut(RGB[..., ::-1], LUT)[..., ::-1]

    # Pillow interpolates in cubes and we in tetrahedra.
    assert np.abs(by_pillow.astype(int) - by_us.astype(int)).mean() < 1


def test_pillow_is_within_a_code_value_of_what_is_read_back() -> None:
    imported = read_cube(write_cube(SMOOTH, "t"))
    assert imported.lut is not None
    table = imported.lut.transpose(2, 1, 0, 3).reshape(-1).tolist()

    by_pillow = np.asarray(Image.fromarray(RGB).filter(ImageFilter.Color3DLUT(33, table)))
    by_us = np.rint(apply_imported(imported, FLOAT_RGB) * 255)

    assert np.abs(by_pillow - by_us).max() <= 1


def test_ffmpeg_is_within_a_code_value_of_us(tmp_path: Path) -> None:
    """By its filter lut3d, in PyAV's build of it."""
    path = tmp_path / "look.cube"
    path.write_text(write_cube(SMOOTH, "t"))
    graph = av.filter.Graph()
    source = graph.add_buffer(width=64, height=64, format=av.VideoFormat("rgb24"), time_base=Fraction(1, 25))
    lut3d = graph.add("lut3d", f"file={path}:interp=tetrahedral")
    sink = graph.add("buffersink")
    source.link_to(lut3d)
    lut3d.link_to(sink)
    graph.configure()
    source.push(av.VideoFrame.from_ndarray(RGB, format="rgb24"))
    frame = sink.pull()
    assert isinstance(frame, av.VideoFrame)
    by_ffmpeg = frame.to_ndarray(format="rgb24")

    by_us = np.rint(apply_lut(np.ascontiguousarray(FLOAT_RGB[..., ::-1]), SMOOTH)[..., ::-1] * 255)

    assert np.abs(by_ffmpeg - by_us).max() <= 1
    assert np.abs(by_ffmpeg.astype(int) - RGB).max() > 20


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(write_cube(LUT, "An export of ours"), id="export"),
        pytest.param(two("DOMAIN_MIN 0.1 0.2 0", "DOMAIN_MAX 0.5 0.8 1"), id="domain"),
        pytest.param(two("LUT_3D_INPUT_RANGE 0.1 0.8"), id="3D range"),
        pytest.param("LUT_1D_SIZE 3\n0 0 0\n0.2 0.5 0.9\n1 0.9 1", id="1D"),
        pytest.param("LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE -0.2 0.7\n0 0 0\n0.2 0.5 0.9\n1 0.9 1", id="1D range"),
        pytest.param(
            "LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE 0.1 0.9\nLUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0.2 2.0\n"
            + "\n".join(["0.2 0.2 0.2", "0.7 1.5 0.6", "2 2.5 1", "0.3 0.1 0", *TWO[1:]]),
            id="shaper",
        ),
        pytest.param(two().replace("1 1 1", "1.5 1.25 -0.5"), id="beyond"),
    ],
)
def test_opencolorio_reads_the_same_look(text: str, tmp_path: Path) -> None:
    by_us = apply_imported(read_cube(text), FLOAT_RGB)
    np.testing.assert_allclose(by_us, by_opencolorio(text, tmp_path, FLOAT_RGB), atol=2e-6)


@given(
    st.integers(2, 4).flatmap(
        lambda size: st.lists(st.integers(0, 10**6), min_size=3 * size**3, max_size=3 * size**3).map(
            lambda values: (np.array(values, np.float32) / 10**6).reshape(size, size, size, 3)
        )
    ),
    st.text(st.characters(exclude_categories=["Cs"])),
)
@settings(deadline=None, max_examples=50)
def test_writing_what_was_read_writes_the_same_text(lut: NDArray[np.float32], title: str) -> None:
    text = write_cube(lut, title)
    imported = read_cube(text)
    assert imported.lut is not None
    assert write_cube(imported.lut, imported.title) == text
    np.testing.assert_array_equal(imported.lut, lut)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + two(), id="byte order mark"),
        pytest.param(two().replace("\n", "\r\n"), id="CR LF"),
        pytest.param(two().replace("\n", "\r"), id="CR"),
        pytest.param(two().replace("\n", " \t \n"), id="trailing blanks"),
        pytest.param(two().replace("\n", "\n\n# note\n\t\n"), id="blank lines and comments"),
        pytest.param(two().replace(" ", "\t").replace("\n", "\n  "), id="tabs and indents"),
        pytest.param(two().replace("\n", " # note\n"), id="comments behind"),
        pytest.param(two().replace("1 1", "1.0e0 +10E-1"), id="scientific"),
        pytest.param(two().replace("0 0 0", ".0 0. -0"), id="short decimals"),
        pytest.param(two().lower(), id="small letters"),
        pytest.param(two().removesuffix("\n"), id="no last line end"),
        pytest.param(two("DOMAIN_MIN 0 0 0", "LUT_3D_INPUT_RANGE 0.0 1.0", "DOMAIN_MAX 1 1 1"), id="both domains"),
    ],
)
def test_dialects_of_one_lut(text: str) -> None:
    imported = read_cube(text)
    assert imported.lut is not None
    assert imported.shaper is None
    np.testing.assert_array_equal(imported.lut, identity_lut(2))
    assert (imported.domain_min, imported.domain_max) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('TITLE "Warm # 2"', "Warm # 2"),
        ("TITLE  Warm evening ", "Warm evening"),
        ('title "Warm', "Warm"),
        ('TITLE " a "b" "', ' a "b" '),
        ("TITLE", ""),
        ("# nothing", ""),
    ],
)
def test_titles(line: str, title: str) -> None:
    assert read_cube(two(line)).title == title


def test_axes_are_red_green_blue() -> None:
    imported = read_cube(write_cube(LUT, ""))
    assert imported.lut is not None
    np.testing.assert_allclose(imported.lut, LUT, atol=6e-7)


def test_a_domain_may_differ_between_channels() -> None:
    imported = read_cube(two("DOMAIN_MIN 0 -1 0.5", "DOMAIN_MAX 1 1 1"))
    graded = apply_imported(imported, np.array([[0.25, 0.5, 0.75], [0, 0, 0]], np.float32))
    np.testing.assert_allclose(graded, [[0.25, 0.75, 0.5], [0, 0.5, 0]], atol=1e-6)


def test_video_levels_in_and_out_are_undone() -> None:
    """An identity at video levels is an identity; one that lifts video black to white lifts our black to white."""
    rgb = np.linspace(0, 1, 30, dtype=np.float32).reshape(10, 3)
    both = read_cube(two("LUT_IN_VIDEO_RANGE", "LUT_OUT_VIDEO_RANGE"))
    np.testing.assert_allclose(apply_imported(both, rgb), rgb, atol=1e-6)

    out = read_cube(two("LUT_OUT_VIDEO_RANGE").replace("0 0 0", f"{64 / 1023} 0 {940 / 1023}"))
    np.testing.assert_allclose(apply_imported(out, np.array([0, 0, 0], np.float32)), [0, 0, 1], atol=1e-6)

    curve = read_cube("LUT_IN_VIDEO_RANGE\nLUT_OUT_VIDEO_RANGE\nLUT_1D_SIZE 2\n0 0 0\n1 1 1")
    np.testing.assert_allclose(apply_imported(curve, rgb), rgb, atol=1e-6)


def test_values_beyond_are_kept_and_clamped_at_the_end() -> None:
    imported = read_cube(two().replace("1 1 1", "1.5 2 -1"))
    assert imported.lut is not None
    np.testing.assert_array_equal(imported.lut[1, 1, 1], [1.5, 2, -1])
    np.testing.assert_array_equal(apply_imported(imported, np.array([1, 1, 1], np.float32)), [1, 1, 0])
    # Half way to 1.5 is 0.75, not half of what is left when it is clamped first.
    np.testing.assert_allclose(apply_imported(imported, np.array([0.5, 0.5, 0.5], np.float32))[0], 0.75, atol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 5, 3), (2, 4, 5, 3)])
def test_colours_come_in_any_shape_and_stay_as_they_were(shape: tuple[int, ...]) -> None:
    rgb = np.random.default_rng(0).random(shape, dtype=np.float32)
    before = rgb.copy()
    curve = np.linspace(0, 1, 5, dtype=np.float32)[:, None].repeat(3, axis=1) ** 2
    graded = apply_imported(ImportedLut("", LUT, curve), rgb)
    assert graded.shape == shape
    assert graded.dtype == np.float32
    np.testing.assert_array_equal(rgb, before)
    one_by_one = [apply_imported(ImportedLut("", LUT, curve), colour) for colour in rgb.reshape(-1, 3)]
    np.testing.assert_allclose(graded.reshape(-1, 3), one_by_one, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file has no table of numbers"),
        ("LUT_3D_SIZE 2\n# nothing more", "the file has no table of numbers"),
        ("0 0 0\n1 1 1", "line 1: neither LUT_3D_SIZE nor LUT_1D_SIZE comes before the table"),
        (two().replace("1 0 0", "0.1 0.2"), 'line 3: expected three numbers, got "0.1 0.2"'),
        (two().replace("1 0 0", "0.1 0.2 0.3 0.4"), 'line 3: expected three numbers, got "0.1 0.2 0.3 0.4"'),
        (two().replace("1 1 1", "1 1 nan"), 'line 9: expected three numbers, got "1 1 nan"'),
        (two().replace("1 1 1", "1 1 -inf"), 'line 9: expected three numbers, got "1 1 -inf"'),
        (two().replace("1 1 1", "1 1 1e999"), 'line 9: expected three numbers, got "1 1 1e999"'),
        (two().replace("1 1 1", "1 1 2e6"), 'line 9: expected three numbers, got "1 1 2e6"'),
        (two().replace("1 1 1", "1 1 1_0"), 'line 9: expected three numbers, got "1 1 1_0"'),
        (two().replace("1 1 1", "1,0 1,0 1,0"), 'line 9: expected three numbers, got "1,0 1,0 1,0"'),
        (two() + "DOMAIN_MIN 0 0 0", 'line 10: expected three numbers, got "DOMAIN_MIN 0 0 0"'),
        ("LUT_3D_SIZE 2\n" + "0 0\n" * 12, 'line 2: expected three numbers, got "0 0"'),
        (two().replace("1 1 1\n", ""), "a LUT of size 3D 2 has 8 rows of numbers, got 7"),
        (two() + "1 1 1", "a LUT of size 3D 2 has 8 rows of numbers, got 9"),
        (two("LUT_1D_SIZE 4"), "a LUT of size 1D 4 and 3D 2 has 12 rows of numbers, got 8"),
        (two("LUT_2D_SIZE 4"), 'line 1: unknown keyword "LUT_2D_SIZE"'),
        ("<html>\n<body>", 'line 1: unknown keyword "<html>"'),
        (two("x" * 99), f'line 1: unknown keyword "{"x" * 60}…"'),
        (two("", "LUT_3D_SIZE 2"), "line 3: LUT_3D_SIZE again, after line 2"),
        (two("LUT_1D_SIZE"), 'line 1: expected 1 number after LUT_1D_SIZE, got "LUT_1D_SIZE"'),
        (two("DOMAIN_MIN 0 0"), 'line 1: expected 3 numbers after DOMAIN_MIN, got "DOMAIN_MIN 0 0"'),
        (two("DOMAIN_MIN 0 0 x"), 'line 1: expected 3 numbers after DOMAIN_MIN, got "DOMAIN_MIN 0 0 x"'),
        (two("DOMAIN_MAX 1 0 1"), "line 1: DOMAIN_MAX 1 0 1 must be above DOMAIN_MIN 0 0 0"),
        (two("DOMAIN_MIN 0 1 0"), "line 1: DOMAIN_MAX 1 1 1 must be above DOMAIN_MIN 0 1 0"),
        (two("LUT_3D_INPUT_RANGE 1 1"), "line 1: LUT_3D_INPUT_RANGE must rise, got 1 to 1"),
        (
            two("DOMAIN_MAX 2 2 2", "LUT_3D_INPUT_RANGE 0 1"),
            "line 2: LUT_3D_INPUT_RANGE and DOMAIN_MIN or DOMAIN_MAX differ",
        ),
        ("LUT_3D_SIZE 1\n0 0 0", "line 1: LUT_3D_SIZE may be a whole number from 2 to 129, got 1"),
        ("LUT_3D_SIZE 130\n0 0 0", "line 1: LUT_3D_SIZE may be a whole number from 2 to 129, got 130"),
        ("LUT_3D_SIZE 2.5\n0 0 0", "line 1: LUT_3D_SIZE may be a whole number from 2 to 129, got 2.5"),
        ("LUT_1D_SIZE 65537\n0 0 0", "line 1: LUT_1D_SIZE may be a whole number from 2 to 65536, got 65537"),
    ],
)
def test_errors_say_what_is_wrong_and_where(text: str, message: str) -> None:
    with pytest.raises(PresetFileError) as caught:
        read_cube(text)
    assert caught.value.message == message
    assert caught.value.code == "PRESET_FILE_INVALID"
    assert (caught.value.line is None) == (not message.startswith("line"))


def test_limits_are_parameters() -> None:
    text = two()
    assert read_cube(text, max_size=2, max_characters=len(text)).lut is not None
    with pytest.raises(PresetFileTooLargeError, match=f"may have {len(text) - 1} characters, got {len(text)}"):
        read_cube(text, max_characters=len(text) - 1)
    with pytest.raises(PresetFileError, match="from 2 to 17, got 33"):
        read_cube(write_cube(identity_lut(33), ""), max_size=17)


LINES = st.one_of(
    st.text(max_size=20),
    st.text("0123456789.+-eE \t#", max_size=12),
    st.sampled_from([*TWO, "LUT_3D_SIZE 2", "LUT_1D_SIZE 2", "LUT_1D_SIZE 3", "DOMAIN_MIN 0 0 0", "DOMAIN_MAX 1 1 1"]),
    st.sampled_from(
        ["LUT_1D_INPUT_RANGE 0 1", "LUT_3D_INPUT_RANGE 0 2", "LUT_IN_VIDEO_RANGE", 'TITLE "x"', "nan", "#"]
    ),
    st.builds("{} {}".format, st.sampled_from(["LUT_3D_SIZE", "LUT_1D_SIZE", "DOMAIN_MAX"]), st.floats()),
)


@given(st.one_of(st.text(), st.lists(LINES, max_size=14).map("\n".join)))
@settings(deadline=None, max_examples=400)
def test_garbage_raises_nothing_but_our_error(text: str) -> None:
    try:
        imported = read_cube(text)
    except PresetFileError:
        return
    graded = apply_imported(imported, FLOAT_RGB[:2])
    assert np.isfinite(graded).all()


@pytest.mark.parametrize("size", [33, 65])
def test_reading_is_quick(size: int) -> None:
    text = write_cube(compile_lut(Adjustments(contrast=20), size), "")
    assert_quick(lambda: read_cube(text), 1)
