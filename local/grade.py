"""`python -m local.grade`: grade files and folders by the pipeline alone; no server, no AWS, no database."""

import argparse
import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, get_args

# What takes long for nothing at the start: to look for garbage among what is loaded, all of which stays, and numpy's
# thread a core for products of matrices, of which there are none large here.
gc.disable()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.errors import ImageError, PresetFileError
from studio.tone_mapping.formats import Format
from studio.tone_mapping.look import Grade, Table, compile_look, look_size, spatial_sliders
from studio.tone_mapping.output import Output
from studio.tone_mapping.pipeline import (
    Chooser,
    Look,
    automatic,
    choose_look,
    fixed,
    grade_image,
    load_proxy,
    matching,
)

gc.freeze()
gc.enable()

# What is taken out of folders.
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".exr", ".hdr"}


class Task(NamedTuple):
    """A picture, and where it goes; `target` has no suffix yet, for only the picture says its format."""

    source: Path
    target: Path


class Usage(Exception):  # noqa: N818
    """What was asked for cannot be; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Grade what the command line says.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0, or 1 where a picture could not be graded.
    """
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # names may hold anything
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        chooser = _chooser(options)
        output = _output(options)
        tasks = list(_tasks(options.files, options.out))
        if not tasks:
            raise Usage(f"no pictures in {', '.join(map(str, options.files))}")
        if options.cube:
            _write_cube(options.cube, chooser, tasks, per_picture=options.auto or options.reference is not None)
    except (Usage, ImageError, PresetFileError, OSError) as error:
        parser.error(str(error))
    return _grade_all(tasks, chooser, output, options.jobs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="grade", description=__doc__, allow_abbrev=False)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, and folders of them")
    own = parser.add_mutually_exclusive_group()
    own.add_argument("--auto", action="store_true", help="correct automatically first; what is done by default")
    own.add_argument("--reference", type=Path, metavar="FILE", help="make the pictures look like this one first")
    parser.add_argument("--preset", metavar="NAME", help="a built-in look, or a .cube, .3dl or .xmp file")
    parser.add_argument(
        "--strength", type=float, default=100, metavar="N", help="percent: of the preset, without one of the correction"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SLIDER=VALUE",
        help="exposure=0.5, hsl.blue.hue=-20, tone_curve.rgb=[[0,0.1],[1,1]], …: applied last",
    )
    parser.add_argument("--cube", type=Path, metavar="FILE", help="write the grade as a .cube, too")
    parser.add_argument("--out", type=Path, default=Path("graded"), metavar="DIR", help="where to (graded)")
    parser.add_argument("--format", default="auto", choices=["auto", *get_args(Format)], help="the input's by default")
    parser.add_argument("--quality", type=int, default=90, metavar="N", help="of JPEG, WebP and AVIF: 1 to 100 (90)")
    parser.add_argument("--bit-depth", type=int, choices=[8, 16], help="of a channel: the input's by default")
    parser.add_argument(
        "--strip-metadata", action="store_true", help="leave EXIF, XMP and IPTC out, their GPS position with them"
    )
    parser.add_argument("--max-size", type=int, metavar="N", help="longest side in pixels")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="pictures at a time")
    return parser


def _chooser(options: argparse.Namespace) -> Chooser:
    """Correction, preset, sliders: in that order, as the API does it."""
    if not 0 <= options.strength <= 100:
        raise Usage(f"--strength is 0 to 100 percent, not {options.strength:g}")
    then: list[Grade] = []
    if options.preset:
        then.append(_preset(options.preset, options.strength))
    if options.set:
        then.append(_sliders(options.set))
    strength = 100 if options.preset else options.strength
    if options.reference:
        return matching(load_proxy(options.reference.read_bytes()), strength, *then)
    if options.auto or not then:
        return automatic(strength, *then)
    if strength != 100:
        raise Usage("--strength is of a preset or of the correction: add --preset, --auto or --reference")
    return fixed(*then)


def _output(options: argparse.Namespace) -> Output:
    names = ("format", "quality", "bit_depth", "max_size", "strip_metadata")
    try:
        return Output(**{name: getattr(options, name) for name in names})
    except ValueError as error:
        raise Usage(f"--{str(error).replace('_', '-')}") from error


def _preset(name: str, strength: float) -> Grade:
    from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS

    for preset_id in (name, f"builtin_{name}"):
        if preset_id in BUILTIN_PRESETS:
            return BUILTIN_PRESETS[preset_id].adjustments.scaled(strength)
    path = Path(name)
    if path.suffix.lower() not in (".cube", ".3dl", ".xmp"):
        names = ", ".join(preset_id.removeprefix("builtin_") for preset_id in BUILTIN_PRESETS)
        raise Usage(f"there is no look {name}, and it names no .cube, .3dl or .xmp file; looks are {names}")
    from studio.tone_mapping.preset_file import decode_text, detect_format, read_preset  # here, for it takes XML along

    text = decode_text(path.read_bytes())
    try:
        preset = read_preset(text, detect_format(text))
    except PresetFileError as error:
        raise Usage(f"{path}: {error}") from error
    if preset.unmapped:
        print(f"{path}: left out, for it has no slider here: {', '.join(preset.unmapped)}", file=sys.stderr)
    if preset.adjustments is not None:
        return preset.adjustments.scaled(strength)
    assert preset.lut is not None  # noqa: S101 it is either
    return Table(preset.lut, strength)


def _sliders(settings: Sequence[str]) -> Adjustments:
    values: dict[str, Any] = {}
    for setting in settings:
        path, _, text = setting.partition("=")
        *folders, name = path.split(".")
        inner = values
        try:
            for folder in folders:
                inner = inner.setdefault(folder, {})
            inner[name] = _value(text)
        except (ValueError, TypeError, AttributeError) as error:
            raise Usage(f"--set takes slider=value, the value a number or as in JSON; got {setting}") from error
    # Here, for pydantic's import takes as long as decoding a picture.
    from pydantic import ValidationError

    from studio.errors import refuse_fields
    from studio.tone_mapping.read_adjustments import read_adjustments

    try:
        return read_adjustments(values)
    except ValidationError as error:
        problems = error.errors()
        for problem in problems:
            if problem["type"] == "unexpected_keyword_argument":
                raise Usage(_no_such_slider(problem["loc"])) from error
        # What is wrong with sliders together has no path.
        raise Usage(refuse_fields([(problem["loc"] or ("--set",), problem) for problem in problems]).message) from error


def _value(text: str) -> Any:
    """Read JSON, and numbers as people and this program's own lines write them: +0.5, .5."""
    try:
        return json.loads(text)
    except ValueError:
        return float(text)


def _no_such_slider(path: Sequence[str | int]) -> str:
    """Name those that there are beside it."""
    *folders, name = map(str, path)
    prefix = "".join(f"{folder}." for folder in folders)
    place: Any = Adjustments()
    for folder in folders:
        place = getattr(place, folder)
    names = ", ".join(f"{prefix}{slider.name}" for slider in fields(place))
    return f"there is no slider {prefix}{name}; sliders are {names}"


def _tasks(files: Sequence[Path], out: Path) -> Iterator[Task]:
    """Find the pictures; those of a folder keep their places below it."""
    for file in files:
        sources = _pictures(file, out) if file.is_dir() else [file]
        for source in sources:
            below = source.relative_to(file).parent if file.is_dir() else Path()
            target = out / below / source.stem
            if target.resolve().parent in (source.resolve().parent, source.parent.resolve()):  # a link leads elsewhere
                raise Usage(f"--out {out} is where {source} is: nothing is ever graded over its original")
            yield Task(source, target)


def _pictures(folder: Path, out: Path) -> list[Path]:
    """Find the pictures of a folder, but for what an earlier run wrote into a folder in it.

    macOS puts a file ._NAME, of what only macOS knows, beside each picture on a disk of another system's.
    """
    inside = out.resolve() if folder.resolve() in out.resolve().parents else None
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file())
    return sorted(path for path in paths if inside not in path.resolve().parents and not path.name.startswith("._"))


def _write_cube(path: Path, chooser: Chooser, tasks: Sequence[Task], *, per_picture: bool) -> None:
    if per_picture and len(tasks) > 1:
        raise Usage(f"--cube holds one grade, and {len(tasks)} pictures are each corrected by themselves")
    from studio.tone_mapping.cube import write_cube

    look = choose_look(tasks[0].source.read_bytes(), chooser)
    path.write_text(write_cube(compile_look(look.grades, min(look_size(look.grades, 8), 65)), path.stem))
    if spatial := [name for name, value in spatial_sliders(look.grades).items() if value]:
        print(f"{path}: without {', '.join(spatial)}, which no LUT can hold", file=sys.stderr)


def _grade_all(tasks: Sequence[Task], chooser: Chooser, output: Output, jobs: int) -> int:
    taken: dict[Path, Path] = {}
    failed = 0

    def grade(task: Task) -> str | Exception:
        try:
            return _grade_one(task, chooser, output, taken)
        except (ImageError, OSError) as error:
            return error
        except Exception as error:  # a defect of ours ends one picture, not the others
            return RuntimeError(f"{type(error).__name__}: {error}")

    shows_progress = sys.stderr.isatty()
    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        for number, (task, answer) in enumerate(zip(tasks, pool.map(grade, tasks), strict=True), start=1):
            if shows_progress:
                print("\r\033[K", end="", file=sys.stderr, flush=True)
            if isinstance(answer, Exception):
                failed += 1
                print(f"{task.source}: {answer}", file=sys.stderr)
            else:
                print(answer, flush=True)
            if shows_progress and number < len(tasks):
                print(f"{number}/{len(tasks)}", end="", file=sys.stderr, flush=True)
    if failed:
        print(f"{failed} of {len(tasks)} could not be graded", file=sys.stderr)
    return 1 if failed else 0


def _grade_one(task: Task, chooser: Chooser, output: Output, taken: dict[Path, Path]) -> str:
    started = perf_counter()
    graded = grade_image(task.source.read_bytes(), chooser, output)
    target = task.target.with_name(f"{task.target.name}.{'jpg' if graded.format == 'jpeg' else graded.format}")
    first = taken.setdefault(target, task.source)
    if first != task.source:
        raise FileExistsError(f"{target} is already what became of {first}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(graded.data or b"")
    return f"{task.source} → {target}  {_told(graded.look)}  {(perf_counter() - started) * 1000:.0f} ms"


def _told(look: Look) -> str:
    """Name what was applied: the sliders that are not at rest."""
    words = []
    for stage in look.grades:
        if isinstance(stage, Table):
            words.append(f"LUT of {stage.lut.shape[0]} nodes at {stage.strength:g} %")
            continue
        moved = {slider.name: getattr(stage, slider.name) for slider in fields(stage)}
        moved = {name: value for name, value in moved.items() if value != getattr(Adjustments(), name)}
        sliders = (f"{name} {value:+g}" if isinstance(value, int | float) else name for name, value in moved.items())
        words.append(", ".join(sliders) or "nothing to do")
    return "; ".join(words)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is written; taking the libraries apart first takes 40 ms
