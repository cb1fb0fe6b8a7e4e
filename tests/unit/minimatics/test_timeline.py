from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.minimatics.models import Project
from studio.minimatics.subtitles import write_srt, write_webvtt
from studio.minimatics.timeline import ShotFrame, Timeline
from tests.speed import assert_quick, cpu_seconds
from tests.unit.minimatics.conftest import make_project

DISSOLVE = {"type": "dissolve", "duration_frames": 4}


@st.composite
def projects(draw: st.DrawFn) -> Project:
    """Projects of shots with whatever transitions fit between them."""
    count = draw(st.integers(1, 8))
    overlaps = [*draw(st.lists(st.integers(0, 12), min_size=count - 1, max_size=count - 1)), 0]
    shots = []
    for number, after in enumerate(overlaps):
        before = overlaps[number - 1] if number else 0
        kind = draw(st.sampled_from(["dissolve", "fade", "wipe", "push"]))
        shots.append(
            {
                "image_key": f"stills/{number}.png",
                "duration_frames": max(before + after, 1) + draw(st.integers(0, 20)),
                "transition": {"type": kind, "duration_frames": after} if after else {"type": "cut"},
                "caption": {"text": f"shot {number}"},
            }
        )
    rate = draw(st.sampled_from(["24000/1001", "25", "30000/1001", "60"]))
    return make_project(*shots, fps=rate)


@given(projects())
def test_every_frame_of_every_shot_is_seen_once_and_in_order(project: Project) -> None:
    timeline = Timeline(project)
    shots = project.shots
    assert timeline.frames == sum(s.duration_frames for s in shots) - sum(s.transition.duration_frames for s in shots)
    seen: list[ShotFrame] = []
    for frame in range(timeline.frames):
        moment = timeline.moment(frame)
        looks = [look for look in (moment.first, moment.second) if look]
        assert all(timeline.starts[look.shot] + look.frame == frame for look in looks)
        if moment.second:
            assert moment.transition == shots[moment.first.shot].transition
            assert moment.second.shot == moment.first.shot + 1
            assert 0 < moment.progress < 1
        seen += looks
    assert sorted(seen, key=lambda look: (look.shot, look.frame)) == [
        ShotFrame(shot, frame) for shot in range(len(shots)) for frame in range(shots[shot].duration_frames)
    ]


@given(projects())
def test_progress_rises_evenly_through_a_transition(project: Project) -> None:
    timeline = Timeline(project)
    for number, shot in enumerate(project.shots[:-1]):
        frames = range(timeline.starts[number + 1], timeline.end(number))
        assert len(frames) == shot.transition.duration_frames
        progress = [timeline.moment(frame).progress for frame in frames]
        assert progress == pytest.approx([(k + 1) / (len(frames) + 1) for k in range(len(frames))])


@given(projects())
def test_captions_by_default_follow_each_other(project: Project) -> None:
    timeline = Timeline(project)
    edges = [edge for cue in timeline.cues for edge in (cue.start, cue.end)]
    assert edges == sorted(edges)
    assert edges[0] == 0
    assert edges[-1] == timeline.frames
    for frame in range(timeline.frames):
        assert len(timeline.moment(frame).captions) == 1


@pytest.mark.parametrize(
    ("times", "stands"),
    [
        ({}, (0, 10)),
        ({"start_frame": 3}, (3, 10)),
        ({"end_frame": 12}, (0, 12)),
        ({"start_frame": 3, "end_frame": 5}, (3, 5)),
        ({"start_frame": 8}, (8, 10)),
        ({"start_frame": 10}, (10, 12)),
    ],
)
def test_a_caption_stands_when_it_says(times: dict[str, Any], stands: tuple[int, int]) -> None:
    captioned = {"caption": {"text": "a", **times}, "transition": DISSOLVE}
    (cue,) = Timeline(make_project(captioned, {})).cues
    assert (cue.start, cue.end) == stands


def test_a_caption_that_ends_early_stands_from_its_shots_first_frame() -> None:
    (cue,) = Timeline(make_project({"transition": DISSOLVE}, {"caption": {"text": "a", "end_frame": 2}})).cues
    assert (cue.start, cue.end) == (8, 10)


def test_a_shot_that_is_all_transition_has_no_caption_that_nobody_sees() -> None:
    caption = {"text": "a"}
    short = {"duration_frames": 1, "caption": caption, "transition": DISSOLVE | {"duration_frames": 1}}
    timeline = Timeline(make_project(short, {"caption": caption}))
    assert [(cue.start, cue.end) for cue in timeline.cues] == [(0, 12)]
    assert "2\n" not in write_srt(timeline)


@pytest.mark.parametrize(("position", "end"), [("bottom", 8), ("top", 12)])
def test_no_caption_is_on_top_of_another(position: str, end: int) -> None:
    after = {"text": "b", "start_frame": 0, "style": {"position": position}}
    project = make_project({"transition": DISSOLVE, "caption": {"text": "a", "end_frame": 12}}, {"caption": after})
    timeline = Timeline(project)
    assert [(cue.start, cue.end) for cue in timeline.cues] == [(0, end), (8, 20)]
    assert len(timeline.moment(9).captions) == (1 if position == "bottom" else 2)


def test_looking_a_frame_up_takes_no_longer_in_a_film_of_many_captions() -> None:
    shots = [{"image_key": "a", "duration_frames": 50, "caption": {"text": "a"}}]
    few, many = (Timeline(make_project(*shots * count)) for count in (20, 2000))

    def look_up(timeline: Timeline) -> None:
        for frame in range(1000):
            timeline.moment(frame)

    assert_quick(lambda: look_up(many), 5 * cpu_seconds(lambda: look_up(few)))


def test_the_sound_is_as_long_as_the_film_to_the_sample() -> None:
    timeline = Timeline(make_project({"duration_frames": 1000}, fps=23.976))
    assert timeline.samples == Fraction(1000 * 1001 * 48_000, 24_000)
    with pytest.raises(IndexError):
        timeline.moment(1000)
    with pytest.raises(IndexError):
        timeline.moment(-1)


def test_subtitles_tell_when_and_what() -> None:
    top = {"position": "top", "align": "right"}
    project = make_project(
        {"duration_frames": 100, "caption": {"text": "Tom & <Jerry>\n\nΔοκιμή"}},
        {"duration_frames": 100_000, "caption": {"text": "Конец", "style": top}},
        fps="24000/1001",
    )
    assert write_srt(Timeline(project)) == (
        "1\n00:00:00,000 --> 00:00:04,171\nTom & <\u200bJerry>\nΔοκιμή\n\n2\n00:00:04,171 --> 01:09:35,004\nКонец\n"
    )
    assert write_webvtt(Timeline(project)) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:04.171\nTom &amp; &lt;Jerry&gt;\nΔοκιμή\n\n"
        "00:00:04.171 --> 01:09:35.004 line:0 align:right\nКонец\n"
    )


def test_no_text_breaks_the_subtitles_that_it_is_in() -> None:
    text = "1\n00:00:05,000 --> 00:00:06,000\n<i>{\\an8}"
    timeline = Timeline(make_project({"duration_frames": 24, "caption": {"text": text}}))
    srt = write_srt(timeline).splitlines()
    assert srt[0:2] == ["1", "00:00:00,000 --> 00:00:01,000"]
    assert srt[2:5] == ["1", "00:00:05,000 → 00:00:06,000", "<\u200bi>{\u200b\\an8}"]
    assert write_webvtt(timeline).count("-->") == 1
