"""A project to its film: what a machine does for its segment, and what one does in the end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from studio.minimatics.audio import check_audio, mix
from studio.minimatics.edl import write_edl
from studio.minimatics.encode import encode_segment
from studio.minimatics.errors import MediaError
from studio.minimatics.fonts import missing_characters
from studio.minimatics.models import Project
from studio.minimatics.motion import Pixels
from studio.minimatics.render import Renderer
from studio.minimatics.segments import Plan, Segment
from studio.minimatics.sources import Sources
from studio.minimatics.stills import check_still
from studio.minimatics.stitch import stitch
from studio.minimatics.subtitles import write_srt, write_webvtt
from studio.minimatics.timeline import Timeline
from studio.tone_mapping.jpeg import encode_jpeg

_POSTER_QUALITY = 90


class Film(NamedTuple):
    """The files of an export; subtitles are None where the project wants none, or has no captions."""

    video: Path
    poster: Path
    edl: Path
    srt: Path | None = None
    webvtt: Path | None = None

    def moved_to(self, folder: Path) -> "Film":
        """Move the files to a folder of the same file system, over those that are there.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        Film
            Where they are now.
        """
        return Film(*(file and file.replace(folder / file.name) for file in self))  # type: ignore[arg-type]


def film_files(path: Path) -> Film:
    """Name the files of an export like its film.

    Parameters
    ----------
    path : Path
        Of the film.
    """
    return Film(path, *(path.with_suffix(suffix) for suffix in (".poster.jpg", ".edl", ".srt", ".vtt")))


def check_sources(project: Project, sources: Sources) -> list[MediaError]:
    """Tell all that a project names and no film can be made of: pictures, presets, recordings, texts.

    Parameters
    ----------
    project : Project
    sources : Sources
    """
    return check_shots(project, range(len(project.shots)), sources) + check_audio(project, sources)


def check_shots(project: Project, numbers: Iterable[int], sources: Sources) -> list[MediaError]:
    """Tell what of some shots no film can be made of.

    Parameters
    ----------
    project : Project
    numbers : iterable of int
        Of the shots.
    sources : Sources
    """
    problems = []
    pictures: dict[str, str | None] = {}
    for number in numbers:
        shot = project.shots[number]
        problems += check_still(project, number, sources, pictures)
        if shot.caption and (missing := missing_characters(shot.caption.text, shot.caption.style.font)):
            font = shot.caption.style.font
            problems.append(MediaError(f"shots.{number}.caption.text", f"{font} has no {' '.join(missing)}"))
    return problems


def render_segment(
    project: Project,
    plan: Plan,
    segment: Segment,
    sources: Sources,
    path: Path,
    report: Callable[[int, Pixels], None] = lambda frames, picture: None,
) -> None:
    """Render and encode a segment.

    Parameters
    ----------
    project : Project
    plan : Plan
    segment : Segment
        One of the plan's.
    sources : Sources
    path : Path
        Of the file to write; replaced if it exists.
    report : callable
        Is told how many of its frames are rendered, and the last of them, after each.

    Raises
    ------
    MediaError
        Where a picture, preset or font lacks what the project asks of it.
    """
    frames = Renderer(project, sources).frames(segment.start_frame, segment.end_frame)
    encode_segment(_counted(frames, report), path, project.output, project.size, project.fps, plan.encoder_threads)


def _counted(frames: Iterator[Pixels], report: Callable[[int, Pixels], None]) -> Iterator[Pixels]:
    for number, frame in enumerate(frames, start=1):
        yield frame
        report(number, frame)


def finish_film(
    project: Project,
    plan: Plan,
    segments: Sequence[Path],
    sources: Sources,
    path: Path,
    report: Callable[[int], None] = lambda frames: None,
) -> Film:
    """Join a film's segments, add its sound, and write what comes beside it.

    Parameters
    ----------
    project : Project
    plan : Plan
    segments : sequence of Path
        What `render_segment` wrote, in the plan's order.
    sources : Sources
    path : Path
        Of the film; the other files are named like it.
    report : callable
        Is told how many frames are joined, after each.

    Raises
    ------
    MediaError
        Where a recording cannot be used.
    SegmentError
        Where a segment is not what the plan says.
    """
    lengths = [segment.end_frame - segment.start_frame for segment in plan.segments]
    sound = mix(project, sources) if project.has_sound else None
    stitch(list(zip(segments, lengths, strict=True)), sound, path, project.output, project.size, project.fps, report)

    timeline = Timeline(project)
    shown = project.output.poster_frame
    if shown is None:
        shown = (project.shots[0].duration_frames - project.shots[0].transition.duration_frames) // 2
    film = film_files(path)
    film.poster.write_bytes(encode_jpeg(Renderer(project, sources).frame(shown), _POSTER_QUALITY))
    film.edl.write_bytes(write_edl(timeline, path.stem).encode())
    if project.output.captions == "burned" or not timeline.cues:
        return Film(film.video, film.poster, film.edl)
    for file, text in ((film.srt, write_srt(timeline)), (film.webvtt, write_webvtt(timeline))):
        assert file  # noqa: S101 `film_files` names all
        file.write_text(text, encoding="utf-8")
    return film
