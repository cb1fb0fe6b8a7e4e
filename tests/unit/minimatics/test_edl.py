import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.minimatics.edl import timecode, write_edl
from studio.minimatics.models import Fade, Project
from studio.minimatics.timeline import ShotFrame, Timeline
from tests.unit.minimatics.conftest import make_project
from tests.unit.minimatics.test_timeline import projects

NTSC, TWICE_NTSC = Fraction(30_000, 1001), Fraction(60_000, 1001)
STAMP = r"(\d\d):(\d\d):(\d\d)([:;])(\d\d)"
ROW = re.compile(
    rf"(?P<number>\d{{3,}})  (?P<reel>\S{{1,8}}) +V     (?P<effect>C|[DW]\d*) +(?P<frames>\d{{3}})? *"
    rf"(?P<times>({STAMP} ?){{4}})"
)


class Row(NamedTuple):
    """A line of an event, with times in frames."""

    number: int
    reel: str
    effect: str
    frames: int
    source: int
    source_end: int
    start: int
    end: int


class Read(NamedTuple):
    """What an edit list says of an event."""

    leaving: Row | None
    row: Row
    names: list[str]


def read(edl: str, fps: Fraction) -> list[Read]:
    """Read an edit list as an editor would, that knows nothing of the project."""
    head, *lines = edl.removesuffix("\r\n").split("\r\n")
    assert head == "TITLE: a film"
    assert lines.pop(0) == f"FCM: {'DROP' if fps in (NTSC, TWICE_NTSC) else 'NON-DROP'} FRAME"
    events: list[Read] = []
    for line in lines:
        if line.startswith("* "):
            if " CLIP NAME: " in line:
                events[-1].names.append(line.partition(": ")[2])
            continue
        row = read_row(line, fps)
        if events and events[-1].row.number == row.number:
            assert events[-1].leaving is None
            events[-1] = Read(events[-1].row, row, [])
        else:
            events.append(Read(None, row, []))
    return events


def read_row(line: str, fps: Fraction) -> Row:
    found = ROW.fullmatch(line)
    assert found, line
    times = [frame_of(time, fps) for time in found["times"].split()]
    return Row(int(found["number"]), found["reel"], found["effect"], int(found["frames"] or 0), *times)


def frame_of(time: str, fps: Fraction) -> int:
    """Count the numbers up to a timecode, less those that were left out on the way."""
    found = re.fullmatch(STAMP, time)
    assert found, time
    hours, minutes, seconds, frames = (int(found[group]) for group in (1, 2, 3, 5))
    minutes += 60 * hours
    dropped = {NTSC: 2, TWICE_NTSC: 4}.get(fps, 0)
    assert found[4] == (";" if dropped else ":")
    return (
        (60 * minutes + seconds) * -(-fps.numerator // fps.denominator) + frames - dropped * (minutes - minutes // 10)
    )


@pytest.mark.parametrize(("fps", "a_second", "dropped"), [(NTSC, 30, 2), (TWICE_NTSC, 60, 4), (Fraction(25), 25, 0)])
def test_timecodes_leave_out_just_the_numbers_that_are_dropped(fps: Fraction, a_second: int, dropped: int) -> None:
    def numbers() -> Iterator[tuple[int, int, int]]:
        for minute in range(21):
            for number in range(60 * a_second):
                if not (minute % 10 and number < dropped):
                    yield minute, number // a_second, number % a_second

    point = ";" if dropped else ":"
    expected = [f"00:{minute:02}:{second:02}{point}{frame:02}" for minute, second, frame in numbers()]
    assert [timecode(frame, fps) for frame in range(len(expected))] == expected


@given(
    st.integers(0, 2_000_000),
    st.sampled_from([NTSC, TWICE_NTSC, Fraction(24_000, 1001), Fraction(50), Fraction(15, 2)]),
)
def test_a_timecode_means_its_frame(frame: int, fps: Fraction) -> None:
    time = timecode(frame, fps)
    day = frame_of(f"24:00:00{time[8]}00", fps)
    assert frame_of(time, fps) == frame % day
    if time[8] == ";":  # it keeps up with the clock, but for two frames within a minute, and three in a day
        hours, minutes, seconds, frames = map(int, re.split("[:;]", time))
        shown = 3600 * hours + 60 * minutes + seconds + Fraction(frames, round(fps))
        assert abs(shown - frame % day / fps) < Fraction(1, 5)


@pytest.mark.parametrize(
    ("fps", "shown"),
    [
        (Fraction(24_000, 1001), "01:00:00:00"),
        (Fraction(48_000, 1001), "00:30:00:00"),
        (Fraction(15, 2), "03:00:00:00"),
        (NTSC, "00:48:02;28"),
    ],
)
def test_rates_count_the_next_whole_number_of_frames(fps: Fraction, shown: str) -> None:
    assert timecode(86_400, fps) == shown


@given(projects())
def test_events_abut_from_the_films_first_frame_to_its_last(project: Project) -> None:
    events = read(write_edl(Timeline(project), "a film"), project.fps)
    end = 0
    for number, event in enumerate(events, start=1):
        row, leaving = event.row, event.leaving
        assert (row.number, row.start) == (number, end)
        assert row.source_end - row.source == row.end - row.start > 0
        if leaving:
            assert (leaving.effect, leaving.start, leaving.end) == ("C", row.start, row.start)
            assert leaving.source == leaving.source_end
            assert 1 <= row.frames <= row.end - row.start
        assert (row.effect == "C") == (leaving is None) == (len(event.names) == 1)
        end = row.end
    assert end == Timeline(project).frames


@given(projects())
def test_an_edit_list_shows_what_the_film_shows(project: Project) -> None:
    timeline = Timeline(project)
    shown: Counter[int] = Counter()
    left = set()
    for leaving, row, names in read(write_edl(timeline, "a film"), project.fps):
        entered, gone = shot_of(names[-1], row), leaving and shot_of(names[0], leaving)
        shown.update([entered] if entered is not None else [])
        left |= {gone}
        for passed, frame in enumerate(range(row.start, row.end)):
            moment = timeline.moment(frame)
            assert (moment.second is not None) == (passed < row.frames)
            if entered is not None:
                assert ShotFrame(entered, row.source + passed) == (moment.second or moment.first)
            if gone is not None and leaving and moment.second:
                assert ShotFrame(gone, leaving.source + passed) == moment.first
            if moment.second and None in (entered, gone):
                assert isinstance(moment.transition, Fade)
                assert (moment.progress < 0.5) == (entered is None)
    assert set(shown.values()) <= {1}
    unseen = {n for n, s in enumerate(project.shots) if s.duration_frames == 1 and isinstance(s.transition, Fade)}
    assert shown.keys() | left - {None} == set(range(len(project.shots))) - unseen


def shot_of(name: str, row: Row) -> int | None:
    """Tell a shot of `projects` by the name of its still; None is black."""
    assert (name == "BLACK") == (row.reel == "BL")
    return int(name.removesuffix(".png")) if row.reel == "AX" else None


def test_an_edit_list_is_of_the_form_that_editors_read() -> None:
    project = make_project(
        {"image_key": "scene 1/harbour.jpg", "duration_frames": 24},
        {"image_key": "market.jpg", "duration_frames": 48, "transition": {"type": "dissolve", "duration_frames": 12}},
        {"image_key": "caf\u00e9.jpg", "duration_frames": 48, "transition": {"type": "fade", "duration_frames": 9}},
        {"duration_frames": 24, "transition": {"type": "wipe", "direction": "down", "duration_frames": 6}},
        {"image_key": "night\u2028.jpg", "duration_frames": 1806},
        fps="30000/1001",
    )
    assert write_edl(Timeline(project), "a film").split("\r\n") == [
        "TITLE: a film",
        "FCM: DROP FRAME",
        "001  AX       V     C        00:00:00;00 00:00:00;24 00:00:00;00 00:00:00;24",
        "* FROM CLIP NAME: harbour.jpg",
        "002  AX       V     C        00:00:00;00 00:00:01;06 00:00:00;24 00:00:02;00",
        "* FROM CLIP NAME: market.jpg",
        "003  AX       V     C        00:00:01;06 00:00:01;06 00:00:02;00 00:00:02;00",
        "003  AX       V     D    012 00:00:00;00 00:00:01;09 00:00:02;00 00:00:03;09",
        "* FROM CLIP NAME: market.jpg",
        "* TO CLIP NAME: caf\u00e9.jpg",
        "004  AX       V     C        00:00:01;09 00:00:01;09 00:00:03;09 00:00:03;09",
        "004  BL       V     D    004 00:00:00;00 00:00:00;04 00:00:03;09 00:00:03;13",
        "* FROM CLIP NAME: caf\u00e9.jpg",
        "* TO CLIP NAME: BLACK",
        "005  BL       V     C        00:00:00;04 00:00:00;04 00:00:03;13 00:00:03;13",
        "005  AX       V     D    005 00:00:00;04 00:00:00;18 00:00:03;13 00:00:03;27",
        "* FROM CLIP NAME: BLACK",
        "* TO CLIP NAME: coffee.png",
        "006  AX       V     C        00:00:00;18 00:00:00;18 00:00:03;27 00:00:03;27",
        "006  AX       V     W002 006 00:00:00;00 00:01:00;08 00:00:03;27 00:01:04;05",
        "* FROM CLIP NAME: coffee.png",
        "* TO CLIP NAME: night .jpg",
        "",
    ]


@pytest.mark.parametrize(
    ("transition", "told"),
    [
        ({"type": "wipe", "direction": "right"}, ["W001 020"]),
        ({"type": "wipe", "direction": "left"}, ["W001 020", "* WIPE LEFT, THE REVERSE OF W001"]),
        ({"type": "wipe", "direction": "up"}, ["W002 020", "* WIPE UP, THE REVERSE OF W002"]),
        ({"type": "push", "direction": "up"}, ["D    020", "* PUSH UP, HERE A DISSOLVE"]),
        ({"type": "dissolve", "duration_frames": 255}, ["D    255"]),
        ({"type": "dissolve", "duration_frames": 300}, ["D    255", "* TRANSITION OF 300 FRAMES, HERE 255"]),
        ({"type": "fade", "colour": "#ff8000"}, ["D    010", "* TO CLIP NAME: COLOUR #ff8000"]),
    ],
)
def test_what_the_format_has_not_is_told(transition: dict[str, Any], told: list[str]) -> None:
    coming = {"duration_frames": 20} | transition
    project = make_project({"duration_frames": 400, "transition": coming}, {"duration_frames": 400})
    _, _, _, _, _, row, _, *comments = write_edl(Timeline(project), "a film").split("\r\n")
    assert row.startswith("002  AX       V     ")
    assert [row[20:28], *(line for line in comments[:2] if line.startswith("* ") and "coffee.png" not in line)] == told


def test_there_may_be_more_shots_than_event_numbers() -> None:
    events = read(write_edl(Timeline(make_project(*[{"duration_frames": 1}] * 1200)), "a film"), Fraction(24))
    assert [event.row.number for event in events] == list(range(1, 1201))
