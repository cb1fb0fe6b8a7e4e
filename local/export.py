"""`python -m local.export`: a project's film from files alone; no server, no AWS, no database."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

# As in local.grade: numpy's threads and pydantic's search for plugins only cost time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import cv2
from pydantic import ValidationError

from studio.minimatics.api_models import without_response_fields
from studio.minimatics.errors import MediaError
from studio.minimatics.film import Film, check_sources, film_files, finish_film, render_segment
from studio.minimatics.models import Project
from studio.minimatics.motion import Pixels
from studio.minimatics.segments import Plan, Segment, plan_film
from studio.minimatics.timeline import Timeline
from studio.tone_mapping.look import Grade
from studio.tone_mapping.presets.builtin import BUILTIN_PRESETS

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.sharedctypes import SynchronizedArray

_TICK_SECONDS = 0.25


class Folder:
    """Pictures and recordings by their paths in a folder, and the looks that come with Studio.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def image(self, key: str) -> bytes:
        """Do what `Sources` says."""
        return (self._folder / key).read_bytes()

    def audio(self, key: str) -> Path:
        """Do what `Sources` says."""
        return self._folder / key

    def preset(self, preset_id: str, strength: float) -> Grade:
        """Do what `Sources` says."""
        return BUILTIN_PRESETS[preset_id].adjustments.scaled(strength)


class Failure(Exception):  # noqa: N818
    """An export that came to nothing; the message says why."""


class Progress:
    """A line on a terminal that says how far the export is and how long it will take."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._started = perf_counter()
        self._shows = sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Say that so many frames are rendered."""
        if not self._shows:
            return
        share = done / self._frames
        seconds = perf_counter() - self._started
        left = f"{seconds / share * (1 - share):.0f} s left" if share else "…"
        rate = f"{done / seconds:.1f} frames/s" if seconds else ""
        bar = "█" * round(20 * share)
        print(
            f"\r\033[K{bar:░<20} {share:4.0%}  {done}/{self._frames}  {rate}  {left}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def clear(self) -> None:
        """Leave the line as if nothing had been."""
        if self._shows:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the command line says.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0, 1 where the export failed, 2 where the project is wrong, or 130 where it was interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        project = _read(options.project)
    except OSError as error:
        return _refuse([f"{options.project}: {error.strerror}"])
    except ValidationError as error:
        return _refuse(f"{'.'.join(map(str, e['loc'])) or 'project'}: {e['msg']}" for e in error.errors())
    except (ValueError, RecursionError) as error:
        return _refuse([f"{options.project}: Invalid JSON: {error}"])
    sources = Folder(options.project.parent)
    if problems := check_sources(project, sources):
        return _refuse(map(str, problems))
    jobs = options.jobs or options.segments
    threads = options.threads or max(1, (os.cpu_count() or 1) // jobs)
    plan = plan_film(Timeline(project), segments=options.segments, encoder_threads=threads)
    if options.dry_run:
        _tell(project, plan)
        return 0
    kind = f".{project.output.container}"
    out = options.out or options.project.with_suffix(kind)
    if out.suffix.lower() != kind:
        return _refuse([f"{out}: a film of {project.output.codec} is named {kind}"])
    used = {(options.project.parent / key).resolve() for key in _keys(project)} | {options.project.resolve()}
    if taken := [file for file in film_files(out) if file and file.resolve() in used]:
        return _refuse(f"{file} is what the film is made of: nothing is ever written over it" for file in taken)
    started = perf_counter()
    try:
        film = _export(project, plan, options.project.parent, out, jobs)
    except (Failure, MediaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    seconds = perf_counter() - started
    beside = ", ".join(file.name for file in film[1:] if file)
    print(f"{film.video}  {plan.frames} frames  {seconds:.1f} s  {plan.frames / seconds:.1f} frames/s  + {beside}")
    return 0


def _read(file: Path) -> Project:
    given = json.loads(file.read_bytes())
    return Project.model_validate_json(
        json.dumps(without_response_fields(given, Project) if isinstance(given, dict) else given)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="export", description=__doc__, allow_abbrev=False)
    parser.add_argument("project", type=Path, help="JSON; image and audio keys in it are paths relative to it")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the film; poster, edit list and subtitles come beside it"
    )
    parser.add_argument("--segments", type=_count, default=1, metavar="N", help="to cut the film into (1)")
    parser.add_argument("--jobs", type=_count, metavar="N", help="segments at a time, a process each; all by default")
    parser.add_argument("--threads", type=_count, metavar="N", help="of each encoder; the cores, shared, by default")
    parser.add_argument("--dry-run", action="store_true", help="tell the plan, and render nothing")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"takes a number from 1, not {text}")
    return int(text)


def _refuse(problems: Iterable[str]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2


def _keys(project: Project) -> Iterator[str]:
    yield from (shot.image_key for shot in project.shots)
    yield from (clip.audio_key for clip in project.audio)


def _tell(project: Project, plan: Plan) -> None:
    size, output = project.size, project.output
    seconds = float(plan.frames / project.fps)
    print(f"{size.width}x{size.height}, {project.fps} frames/s, {output.codec} in {output.container}, {output.quality}")
    print(f"{plan.frames} frames, {seconds:.3f} s, {len(project.shots)} shots, {len(project.audio)} audio clips")
    for segment in plan.segments:
        frames = f"frames {segment.start_frame} to {segment.end_frame - 1}"
        print(f"segment {segment.index}: {frames}, about {segment.cost_seconds:.0f} s of one core")
    cores = min(os.cpu_count() or 1, len(plan.segments) * plan.encoder_threads)
    print(f"about {plan.cost_seconds / cores:.0f} s on {cores} cores")


def _export(project: Project, plan: Plan, folder: Path, out: Path, jobs: int) -> Film:
    out.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(plan.frames)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-") as scratch:
        paths = [Path(scratch) / f"{segment.index:04}.mp4" for segment in plan.segments]
        try:
            if len(paths) == 1:
                render_segment(
                    project, plan, plan.segments[0], Folder(folder), paths[0], lambda done, _: progress.show(done)
                )
            else:
                _render_apart(project, plan, folder, paths, jobs, progress)
        finally:
            progress.clear()
        # Nothing half-written is ever at the place of the result.
        film = finish_film(project, plan, paths, Folder(folder), Path(scratch) / out.name).moved_to(out.parent)
    for file in film_files(out):
        if file and file not in film:
            file.unlink(missing_ok=True)  # captions of an earlier film: players would show them with this one
    return film


def _render_apart(
    project: Project, plan: Plan, folder: Path, paths: Sequence[Path], jobs: int, progress: Progress
) -> None:
    """Render every segment in a process of its own, some at a time; where one fails, end them all."""
    context = get_context("spawn")
    frames_done, problems = context.Array("i", len(paths)), context.SimpleQueue()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    waiting = [
        context.Process(
            target=_render_one, args=(project, plan, segment, folder, path, threads, frames_done, problems), daemon=True
        )
        for segment, path in zip(plan.segments, paths, strict=True)
    ]
    started: list[SpawnProcess] = []
    try:
        while True:
            # Before the failed ones: a process that fails in between would be in neither list, and pass for done.
            running = [process for process in started if process.exitcode is None]
            if failed := [process for process in started if process.exitcode]:
                told = None if problems.empty() else problems.get()
                raise Failure(told or f"the process of a segment ended with {failed[0].exitcode}")
            if not running and not waiting:
                return
            while waiting and len(running) < jobs:
                waiting[0].start()
                running.append(waiting.pop(0))
                started.append(running[-1])
            wait([process.sentinel for process in running], _TICK_SECONDS)
            progress.show(sum(frames_done[:]))
    finally:
        for process in started:
            process.terminate()
            process.join()


def _render_one(
    project: Project,
    plan: Plan,
    segment: Segment,
    folder: Path,
    path: Path,
    threads: int,
    frames_done: "SynchronizedArray[int]",
    problems: "SimpleQueue[str]",
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells all of us; the first process ends the others
    cv2.setNumThreads(threads)

    def report(frames: int, _: Pixels) -> None:
        frames_done[segment.index] = frames

    try:
        render_segment(project, plan, segment, Folder(folder), path, report)
    except (MediaError, OSError) as error:
        problems.put(str(error))
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
