from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from studio.minimatics.models import MOTIONS, Project
from tests.unit.minimatics.conftest import make_project

SHOT = {"image_key": "a.jpg", "duration_frames": 24}


def problems(**project: Any) -> dict[str, str]:
    """Return what is wrong with a project, by path."""
    with pytest.raises(ValidationError) as caught:
        Project.model_validate(project)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        (25, Fraction(25)),
        ("24000/1001", Fraction(24000, 1001)),
        (23.976, Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        ("12.50", Fraction(25, 2)),
        (23.97, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (47.952, Fraction(48000, 1001)),
        (24.9, Fraction(249, 10)),
        (23.5, Fraction(47, 2)),
    ],
)
def test_rates_are_exact(given: object, rate: Fraction) -> None:
    project = Project.model_validate({"fps": given, "shots": [SHOT]})
    assert project.fps == rate
    assert Project.model_validate(project.model_dump(mode="json", by_alias=True)) == project


@pytest.mark.parametrize("given", ["fast", "24/0", 0, -24, 61, True, "nan", "1e3", "24000/1013", [24], None])
def test_what_is_no_rate_is_refused(given: object) -> None:
    assert set(problems(fps=given, shots=[SHOT])) == {"fps"}


def test_named_sizes_and_motions_are_what_they_name() -> None:
    project = Project.model_validate({"size": "2160p", "shots": [SHOT | {"motion": name} for name in MOTIONS]})
    assert (project.size.width, project.size.height) == (3840, 2160)
    assert project.shots[list(MOTIONS).index("pan_right")].motion.to.x == 1
    assert "one of 480p" in problems(size="huge", shots=[SHOT])["size"]
    assert "one of hold" in problems(shots=[SHOT | {"motion": "jump"}])["shots.0.motion"]
    assert "multiple of 2" in problems(size={"width": 101, "height": 100}, shots=[SHOT])["size.width"]


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        fps=25,
        shots=[
            {"image_key": "a.jpg", "duration_frames": 0},
            SHOT | {"duration_frames": 20, "transition": {"type": "dissolve", "duration_frames": 12}},
            SHOT | {"duration_frames": 15, "transition": {"type": "wipe", "duration_frames": 10, "direction": "in"}},
            SHOT | {"caption": {"text": "Hello", "style": {"font": "comic"}, "end_frame": 25}},
            SHOT | {"motion": {"from": {"zoom": 0.5}}, "colour": "red"},
            SHOT | {"duration_frames": 20, "transition": {"type": "push", "duration_frames": 12}},
            SHOT | {"duration_frames": 20, "transition": {"type": "fade", "duration_frames": 12}},
        ],
        output={"codec": "h264", "container": "webm"},
        audio=[{"audio_key": "a.mp3", "gain_db": 99, "trim": {"start_seconds": 2, "end_seconds": 1}}],
    )
    assert found.keys() == {
        "shots.0.duration_frames",
        "shots.2.transition.direction",
        "shots.2.duration_frames",
        "shots.3.caption.style.font",
        "shots.3.caption.end_frame",
        "shots.4.motion.from.zoom",
        "shots.4.colour",
        "shots.6.duration_frames",
        "shots.6.transition",
        "audio.0.gain_db",
        "audio.0.trim",
        "output",
    }
    assert found["shots.2.duration_frames"].endswith("12 frames before and 10 after")


def test_a_film_has_a_shot() -> None:
    assert problems(shots=[]).keys() == {"shots"}
    assert problems(shots=[{}]).keys() == {"shots.0.image_key", "shots.0.duration_frames"}
    assert problems(shots=None).keys() == {"shots"}


def test_what_is_past_the_end_is_refused() -> None:
    dissolve = {"type": "dissolve", "duration_frames": 24}
    shots = [SHOT | {"duration_frames": 48, "transition": dissolve}, SHOT]
    clips = [{"audio_key": "a.mp3", "start_seconds": seconds} for seconds in (1.999, 2)]
    found = problems(fps=24, shots=shots, audio=clips, output={"poster_frame": 48})
    assert found == {
        "audio.1.start_seconds": "the clip starts past the film's end at 2.000 seconds",
        "output.poster_frame": "the film has 48 frames, counted from 0",
    }


def test_a_poster_past_the_end_is_told_whatever_the_rate() -> None:
    assert set(problems(fps="fast", shots=[SHOT], output={"poster_frame": 24})) == {"fps", "output.poster_frame"}


def test_a_film_has_an_end() -> None:
    most = SHOT | {"duration_frames": 500_000}
    assert problems(shots=[most, most, SHOT]) == {
        "shots": "a film has 1,000,000 frames and 24 hours at most; this one has 1,000,024, 11.6 hours"
    }
    assert set(problems(fps="fast", shots=[most, most, SHOT])) == {"fps", "shots"}
    assert problems(fps=1, shots=[SHOT | {"duration_frames": 86_401}])["shots"].endswith("86,401, 24.0 hours")
    Project.model_validate({"fps": 1, "shots": [SHOT | {"duration_frames": 86_400}]})
    Project.model_validate({"shots": [most, most]})


def test_a_codec_has_a_container_and_bounds() -> None:
    for codec, container in {"hevc": "mp4", "vp9": "webm", "prores": "mov", "gif": "gif"}.items():
        output = {"codec": codec}
        assert make_project({}, output=output).output.container == container
        told = problems(shots=[SHOT], size="480p", output=output | {"container": "mkv"})
        assert set(told) == {"output.container"}
    assert problems(shots=[SHOT], output={"codec": "prores", "container": "mp4"}) == {
        "output": "Value error, prores is in mov; got mp4"
    }
    second = SHOT | {"duration_frames": 60}
    assert problems(shots=[second] * 61, fps=60, output={"codec": "gif"}) == {
        "size": "a GIF has 921,600 pixels at most, as 1280x720 has; got 1920x1080",
        "fps": "a GIF has 50 frames a second at most; got 60",
        "shots": "a GIF takes 60 seconds at most; this one 61.0",
    }
    make_project(*[{"duration_frames": 50}] * 60, fps=50, size="720p", output={"codec": "gif"})
    assert problems(shots=[SHOT | {"image_key": ""}], output={"codec": "gif"}).keys() == {"shots.0.image_key", "size"}
    minute = SHOT | {"duration_frames": 24 * 60}
    assert problems(shots=[minute] * 28, size="1080p", output={"codec": "prores"}) == {
        "output.codec": "a film in ProRes has 25 GB at most; this one would have about 26"
    }
    make_project(*[minute] * 26, size="1080p", output={"codec": "prores"})
    assert problems(shots=[minute] * 38, size="720p", output={"codec": "prores"}).keys() == {"output.codec"}
    make_project(*[minute] * 35, size="720p", output={"codec": "prores"})


def test_a_caption_says_something_within_its_shot() -> None:
    captions: list[dict[str, Any]] = [
        {"text": " \n"},
        {"text": "a\tb"},
        {"text": "a", "start_frame": 24},
        {"text": "a", "start_frame": 9, "end_frame": 9},
    ]
    found = problems(shots=[SHOT | {"caption": caption} for caption in captions])
    assert found.keys() == {
        "shots.0.caption.text",
        "shots.1.caption.text",
        "shots.2.caption.start_frame",
        "shots.3.caption",
    }


def test_a_whole_project_survives_json() -> None:
    project = make_project(
        {"motion": "ken_burns_in", "transition": {"type": "fade", "duration_frames": 4, "colour": "#ff0000"}},
        {"caption": {"text": "Hello {name}"}, "grade": {"auto": True, "adjustments": {"exposure": 0.5}}},
        fps="30000/1001",
        audio=[{"audio_key": "a.mp3", "role": "music"}],
        output={"codec": "vp9"},
    )
    assert project.output.container == "webm"
    assert Project.model_validate_json(project.model_dump_json(by_alias=True)) == project


def test_a_wrong_shot_is_a_shot_all_the_same() -> None:
    assert set(problems(shots=[{"image_key": "a.jpg"}])) == {"shots.0.duration_frames"}
    assert set(problems(shots=[])) == {"shots"}


def test_numbers_beyond_all_bounds_are_refused_like_any_other() -> None:
    clips = [{"audio_key": "a.mp3", "start_seconds": 10**401}, {"audio_key": "b.mp3", "start_seconds": float("inf")}]
    found = problems(shots=[SHOT | {"duration_frames": 10**400}], audio=clips)
    assert set(found) == {"shots.0.duration_frames", "audio.0.start_seconds", "audio.1.start_seconds"}
