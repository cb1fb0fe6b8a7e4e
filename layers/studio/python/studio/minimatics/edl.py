"""A film's cuts and transitions for video editors: an edit decision list beside the film."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from studio.minimatics.models import Cut, Fade, Push, Transition, Wipe
from studio.minimatics.timeline import Timeline

_DROP_FRAME_RATES = (Fraction(30_000, 1001), Fraction(60_000, 1001))
_LONGEST_TRANSITION = 255
# SMPTE 258M: 001 is a horizontal wipe from left to right, 002 a vertical one from top to bottom.
_WIPES = {"right": "W001", "left": "W001", "down": "W002", "up": "W002"}
_BLACK, _FILE = "BL", "AX"


class _Event(NamedTuple):
    """What is seen from a frame of the film up to and without another one, and how it came to be seen."""

    reel: str
    name: str
    source: int
    start: int
    end: int
    transition: Transition = Cut()
    transition_frames: int = 0


def write_edl(timeline: Timeline, title: str) -> str:
    """Write a film's pictures as an edit decision list (.edl) of CMX 3600.

    Each shot is an event of a still from 00:00:00:00, on reel `AX`, as editors call files; comments name them. Where it
    comes by a transition, a line before it, of no length, is what it comes from. A fade is two events: a dissolve to
    black, reel `BL`, or to a colour, reel `AX`, and one from it. A push, and wipes to the left and upwards, have no
    code: they are a dissolve, and the wipe the other way, and a comment says so. A transition has 255 frames at most
    in this format; a comment tells how many a longer one has. Moves, grades, captions and sound are left out.

    Timecodes count from 00:00:00:00, at the rate, or at the next whole one. Those of 30000/1001 and 60000/1001 are
    drop-frame, so that they keep up with the clock. Events past the 999th, which the format lacks, are numbered on.

    Parameters
    ----------
    timeline : Timeline
    title : str

    Returns
    -------
    str
        To be stored as UTF-8, as it is: lines end in CR LF. The format is ASCII, and all but names is.

    Notes
    -----
    After CMX 3600's list format, and SMPTE 258M (Transfer of Edit Decision Lists), whose wipe codes are used.
    """
    fps = timeline.project.fps
    kind = "DROP FRAME" if fps in _DROP_FRAME_RATES else "NON-DROP FRAME"
    lines = [f"TITLE: {_line(title)}", f"FCM: {kind}"]
    number = 0
    nothing = _Event(_BLACK, "", 0, 0, 0)
    for before, event in pairwise([nothing, *_events(timeline)]):
        if event.start < event.end:  # a shot may be all transition into the next one, which has its name then
            number += 1
            lines += _written(number, before, event, fps)
    return "".join(f"{line}\r\n" for line in lines)


def timecode(frame: int, fps: Fraction) -> str:
    """Write a frame's number as a timecode, as SMPTE ST 12-1 does.

    Parameters
    ----------
    frame : int
        From 0; those of a day and more begin again.
    fps : Fraction
        Frames a second. Their count in a second is this, or the next whole number.

    Returns
    -------
    str
        Hours, minutes, seconds and frames. At 30000/1001 and 60000/1001 frames it is drop-frame, with a semicolon:
        each minute but every tenth leaves out the first two numbers, or the first four.
    """
    a_second, point = ceil(fps), ":"
    if fps in _DROP_FRAME_RATES:
        dropped, point = a_second // 15, ";"
        tens, rest = divmod(frame, 600 * a_second - 9 * dropped)
        minutes = max(rest - dropped, 0) // (60 * a_second - dropped)
        frame += dropped * (9 * tens + minutes)
    seconds, frames = divmod(frame, a_second)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02}:{minutes:02}:{seconds:02}{point}{frames:02}"


def _events(timeline: Timeline) -> Iterator[_Event]:
    """Tell what follows what; some of it may have no frame of its own."""
    entered_by: Transition = Cut()
    for number, (first, shot) in enumerate(zip(timeline.starts, timeline.project.shots, strict=True)):
        start, frames = first, entered_by.duration_frames
        if isinstance(entered_by, Fade):
            start, frames = first + frames // 2, frames - frames // 2
            colour = entered_by.colour
            reel, name = (_BLACK, "BLACK") if colour == "#000000" else (_FILE, f"COLOUR {colour}")
            yield _Event(reel, name, 0, first, start, entered_by, start - first)
        name = shot.image_key.rpartition("/")[2] or shot.image_key
        end = timeline.end(number) - shot.transition.duration_frames
        yield _Event(_FILE, name, start - first, start, end, entered_by, frames)
        entered_by = shot.transition


def _written(number: int, before: _Event, event: _Event, fps: Fraction) -> Iterator[str]:
    if isinstance(event.transition, Cut):
        yield _row(number, event, "C       ", fps)
        yield f"* FROM CLIP NAME: {_line(event.name)}"
        return
    gone = before.source + event.start - before.start
    yield _row(number, before._replace(source=gone, start=event.start, end=event.start), "C       ", fps)
    frames = min(event.transition_frames, _LONGEST_TRANSITION)
    yield _row(number, event, f"{_effect(event.transition):<4} {frames:03}", fps)
    yield f"* FROM CLIP NAME: {_line(before.name)}"
    yield f"* TO CLIP NAME: {_line(event.name)}"
    match event.transition:
        case Push(direction=direction):
            yield f"* PUSH {direction.upper()}, HERE A DISSOLVE"
        case Wipe(direction="left" | "up" as direction):
            yield f"* WIPE {direction.upper()}, THE REVERSE OF {_WIPES[direction]}"
    if event.transition_frames > frames:
        yield f"* TRANSITION OF {event.transition_frames} FRAMES, HERE {frames}"


def _effect(transition: Transition) -> str:
    return _WIPES[transition.direction] if isinstance(transition, Wipe) else "D"


def _row(number: int, event: _Event, effect: str, fps: Fraction) -> str:
    source_end = event.source + event.end - event.start
    times = (timecode(frame, fps) for frame in (event.source, source_end, event.start, event.end))
    return f"{number:03}  {event.reel:<8} V     {effect} {' '.join(times)}"


def _line(text: str) -> str:
    """Keep readers from taking a name for two lines."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)
