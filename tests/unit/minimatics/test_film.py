"""Whole films, judged by ffmpeg."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import GifImagePlugin, Image

from local.export import Folder
from studio.minimatics.audio import mix
from studio.minimatics.errors import MediaError
from studio.minimatics.film import Film, check_sources, finish_film, render_segment
from studio.minimatics.models import Project
from studio.minimatics.render import Renderer
from studio.minimatics.segments import Plan, plan_film
from studio.minimatics.stitch import SegmentError
from studio.minimatics.timeline import Timeline
from tests.unit.minimatics import judge
from tests.unit.minimatics.conftest import make_project
from tests.unit.minimatics.test_audio import original, tone, write_wav

SHOTS: list[dict[str, Any]] = [
    {"motion": "ken_burns_in", "transition": {"type": "dissolve", "duration_frames": 6}, "duration_frames": 30},
    {
        "image_key": "astronaut.png",
        "motion": {"from": {"zoom": 3}, "to": {}},
        "transition": {"type": "push", "duration_frames": 5},
        "duration_frames": 25,
        "caption": {"text": "Astronaut"},
        "grade": {"auto": True, "preset_id": "builtin_vivid"},
    },
    {"image_key": "chelsea.png", "motion": "pan_left", "duration_frames": 20},
    {"image_key": "red.png", "duration_frames": 15},
]


def export(project: Project, plan: Plan, sources: Folder, folder: Path) -> Film:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{segment.index}.part" for segment in plan.segments]
    for segment, path in zip(plan.segments, paths, strict=True):
        render_segment(project, plan, segment, sources, path)
    return finish_film(project, plan, paths, sources, folder / f"film.{project.output.container}")


@pytest.mark.parametrize("fps", ["24000/1001", "25", "60"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "prores"])
def test_the_joined_film_is_every_frame_of_its_segments(tmp_path: Path, sources: Folder, codec: str, fps: str) -> None:
    project = make_project(*SHOTS, fps=fps, output={"codec": codec, "quality": "draft"})
    plan = plan_film(Timeline(project), segments=3)
    assert len(plan.segments) == 3
    film = export(project, plan, sources, tmp_path)
    parts = [frame for number in range(3) for frame in judge.frame_hashes(tmp_path / f"{number}.part")]
    joined = judge.frame_hashes(film.video)
    assert [frame.split()[1] for frame in joined] == [frame.split()[1] for frame in parts]
    assert len(joined) == plan.frames == 79
    if codec != "vp9":  # WebM counts in milliseconds
        assert [int(frame.split()[0]) for frame in joined] == list(range(79))
    (stream,) = judge.probe(film.video).values()
    assert stream["r_frame_rate"] == f"{Fraction(fps).numerator}/{Fraction(fps).denominator}"
    assert stream["nb_read_frames"] == "79"


def test_a_segment_that_is_rendered_again_is_the_same_whoever_renders_it(tmp_path: Path, sources: Folder) -> None:
    project = make_project(*SHOTS)
    plan = plan_film(Timeline(project), segments=3)
    first = export(project, plan, sources, tmp_path / "first")
    # In another order, from another state of the renderer, by other threads of OpenCV.
    cv2.setNumThreads(1)
    try:
        paths = [tmp_path / f"{number}.mp4" for number in range(3)]
        for number in (2, 0, 1):
            render_segment(project, plan, plan.segments[number], sources, paths[number])
    finally:
        cv2.setNumThreads(-1)
    again = finish_film(project, plan, paths, sources, tmp_path / "again.mp4")
    assert judge.frame_hashes(first.video) == judge.frame_hashes(again.video)


def test_frames_do_not_depend_on_those_before_them(sources: Folder) -> None:
    project = make_project(*SHOTS)
    in_order = list(Renderer(project, sources).frames(0, 79))
    renderer = Renderer(project, sources)
    for number in (78, 3, 27, 26, 40, 41, 0, 48):
        assert np.array_equal(renderer.frame(number), in_order[number]), number


def test_the_film_shows_what_it_should_when_it_should(tmp_path: Path, sources: Folder) -> None:
    project = make_project(
        {"image_key": "red.png", "duration_frames": 10},
        {"image_key": "green.png", "transition": {"type": "dissolve", "duration_frames": 3}, "duration_frames": 10},
        {"image_key": "white.png", "duration_frames": 10},
        output={"quality": "high"},
    )
    film = export(project, plan_film(Timeline(project), segments=2), sources, tmp_path)
    shown = judge.pictures(film.video, 160, 90)[:, 45, 80].astype(int)
    red, green, white = (0, 0, 255), (0, 255, 0), (255, 255, 255)
    expected = np.array([red] * 10 + [green] * 7 + [(137, 255, 137), (188, 255, 188), (225, 255, 225)] + [white] * 7)
    assert np.abs(shown - expected).max() <= 6


def test_a_film_has_sound_and_sidecars_and_starts_fast(tmp_path: Path, folder: Path) -> None:
    write_wav(folder / "tone.wav", tone(3, 1000, 0.25))
    sources = Folder(folder)
    clip = {"audio_key": "tone.wav", "start_seconds": 0.5, "trim": {"end_seconds": 1}}
    output = {"captions": "both", "poster_frame": 30}
    project = make_project(*SHOTS, fps="24000/1001", audio=[clip], output=output)
    film = export(project, plan_film(Timeline(project), segments=2), sources, tmp_path)

    streams = judge.probe(film.video)
    assert streams["video"]["nb_read_frames"] == "79"
    assert streams["audio"]["codec_name"] == "aac"
    assert streams["audio"]["sample_rate"] == "48000"
    assert streams["audio"]["channels"] == 2
    assert {stream["start_time"] for stream in streams.values()} == {"0.000000"}
    samples = Timeline(project).samples
    assert int(streams["audio"]["duration_ts"]) == samples
    heard = judge.sound(film.video)[:samples, 0]
    loud = np.abs(heard) > 0.02
    assert abs(int(loud.argmax()) - 24_000) < 200
    assert abs(len(loud) - int(loud[::-1].argmax()) - 72_000) < 400
    # Where AAC says that the tone is, to a fraction of its period of 48 samples.
    steady = slice(30_000, 66_000)
    expected = original(folder / "tone.wav")[steady.start - 24_000 : steady.stop - 24_000, 0]
    assert np.abs(heard[steady] - expected).max() < 0.02

    boxes = film.video.read_bytes()
    assert boxes.index(b"moov") < boxes.index(b"mdat")
    with Image.open(film.poster) as poster:
        assert poster.size == (160, 90)
    assert film.srt is not None
    assert film.srt.read_text().splitlines()[:3] == ["1", "00:00:01,126 --> 00:00:01,919", "Astronaut"]
    assert film.webvtt is not None
    assert film.webvtt.read_text().startswith("WEBVTT\n\n00:00:01.126 -->")
    edl = film.edl.read_bytes().decode().split("\r\n")
    assert edl[:2] == [f"TITLE: {film.video.stem}", "FCM: NON-DROP FRAME"]
    assert edl[-3:] == [
        "004  AX       V     C        00:00:00:00 00:00:00:15 00:00:02:16 00:00:03:07",
        "* FROM CLIP NAME: red.png",
        "",
    ]


def test_webm_has_opus(tmp_path: Path, folder: Path) -> None:
    write_wav(folder / "tone.wav", tone(3, 1000, 0.25))
    output = {"codec": "vp9", "quality": "draft"}
    project = make_project({}, {}, audio=[{"audio_key": "tone.wav"}], output=output)
    film = export(project, plan_film(Timeline(project)), Folder(folder), tmp_path)
    streams = judge.probe(film.video)
    assert (streams["video"]["codec_name"], streams["audio"]["codec_name"]) == ("vp9", "opus")
    assert abs(len(judge.sound(film.video)) - 48_000) < 1000


def test_prores_has_its_sound_as_it_was_mixed(tmp_path: Path, folder: Path) -> None:
    write_wav(folder / "tone.wav", tone(3, 1000, 0.25))
    output = {"codec": "prores", "quality": "draft"}
    project = make_project({}, {}, audio=[{"audio_key": "tone.wav"}], output=output)
    film = export(project, plan_film(Timeline(project), segments=2), Folder(folder), tmp_path)
    streams = judge.probe(film.video)
    assert (streams["video"]["codec_name"], streams["audio"]["codec_name"]) == ("prores", "pcm_s24le")
    assert {stream["start_time"] for stream in streams.values()} == {"0.000000"}
    mixed = np.concatenate(list(mix(project, Folder(folder))))
    heard = judge.sound(film.video)
    assert heard.shape == mixed.shape
    assert np.abs(heard - mixed).max() <= 2**-23
    boxes = film.video.read_bytes()
    assert boxes.index(b"moov") < boxes.index(b"mdat")


@pytest.mark.parametrize("fps", ["24000/1001", "50"])
def test_a_gif_is_the_film_in_one_palette(
    tmp_path: Path, folder: Path, fps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pillow's way of telling whether all frames have the same one.
    once = GifImagePlugin.LoadingStrategy.RGB_AFTER_DIFFERENT_PALETTE_ONLY
    monkeypatch.setattr(GifImagePlugin, "LOADING_STRATEGY", once)
    write_wav(folder / "tone.wav", tone(3, 1000, 0.25))
    project = make_project(
        *SHOTS, fps=fps, audio=[{"audio_key": "tone.wav"}], output={"codec": "gif", "quality": "high"}
    )
    films = [
        export(project, plan_film(Timeline(project), segments=count), Folder(folder), tmp_path / str(count))
        for count in (1, 3)
    ]
    assert films[0].video.read_bytes() == films[1].video.read_bytes()
    with Image.open(films[0].video) as animation:
        assert animation.n_frames == 79  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0
        milliseconds, modes = 0, set()
        for number in range(79):
            animation.seek(number)
            milliseconds += animation.info["duration"]
            modes.add(animation.mode)
    assert abs(milliseconds - 79_000 / Fraction(fps)) <= 10
    assert modes == {"P"}
    assert judge.probe(films[0].video).keys() == {"video"}
    shown = judge.pictures(films[0].video, 160, 90).astype(float)
    rendered = np.stack(list(Renderer(project, Folder(folder)).frames(0, 79)))
    assert np.sqrt(((shown - rendered) ** 2).mean()) < 12
    # Dithering is right in the mean.
    assert np.abs(shown.mean(axis=(1, 2)) - rendered.mean(axis=(1, 2))).max() < 3


LONG_GIF = """
import sys
from fractions import Fraction
from pathlib import Path
import av
import numpy as np
from studio.minimatics.gif import write_gif
from studio.minimatics.models import FilmOutput, Size

count = int(sys.argv[1])
picture = np.zeros((360, 640, 3), np.uint8)
frames = lambda: (av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="gbrp") for _ in range(count))
output = FilmOutput(codec="gif", container="gif")
write_gif(frames, count, Path(sys.argv[2]), output, Size(width=640, height=360), Fraction(25))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def test_a_gif_takes_no_more_memory_when_it_is_longer(tmp_path: Path) -> None:
    peaks = []
    for frames in (10, 500):  # of 0.7 MB
        command = [sys.executable, "-c", LONG_GIF, str(frames), str(tmp_path / "long.gif")]
        done = subprocess.run(command, capture_output=True, check=True, timeout=240, text=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 30


def test_a_gif_has_no_use_for_recordings(sources: Folder) -> None:
    clips = [{"audio_key": "none.wav"}]
    assert [problem.field for problem in check_sources(make_project({}, audio=clips), sources)] == ["audio.0.audio_key"]
    assert check_sources(make_project({}, audio=clips, output={"codec": "gif"}), sources) == []


def test_captions_are_burned_unless_they_are_beside(sources: Folder) -> None:
    frames = {}
    for captions in ("burned", "sidecar", "both"):
        project = make_project({"caption": {"text": "Hello"}}, output={"captions": captions})
        frames[captions] = Renderer(project, sources).frame(6)
    plain = Renderer(make_project({}), sources).frame(6)
    assert np.array_equal(frames["sidecar"], plain)
    assert np.array_equal(frames["burned"], frames["both"])
    assert not np.array_equal(frames["burned"], plain)


def test_grades_are_applied_in_order(sources: Folder) -> None:
    def mean(**grade: Any) -> float:
        return float(Renderer(make_project({"grade": grade} if grade else {}), sources).frame(0).mean())

    assert mean(adjustments={"exposure": 1}) > 1.2 * mean()
    assert mean(preset_id="builtin_vivid", strength=0) == mean()
    assert mean(preset_id="builtin_vivid", adjustments={"exposure": 1}) > 1.2 * mean(preset_id="builtin_vivid")


def test_a_picture_is_upright_on_its_background_and_in_srgb(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    half = Image.new("RGB", (90, 160), "red")
    half.paste("blue", (0, 0, 90, 80))
    half.save(tmp_path / "lying.jpg", exif=exif, quality=100, subsampling=0)
    Image.new("RGBA", (160, 90), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    project = make_project({"image_key": "lying.jpg"}, {"image_key": "clear.png"}, background="#102030")
    renderer = Renderer(project, Folder(tmp_path))
    frame = renderer.frame(0)
    assert np.abs(frame[45, 20].astype(int) - (0, 0, 254)).max() < 4
    assert np.abs(frame[45, 140].astype(int) - (254, 0, 0)).max() < 4
    assert (renderer.frame(12) == (0x30, 0x20, 0x10)).all()


def test_a_picture_that_is_stretched_is_as_sharp_as_its_narrower_side(tmp_path: Path) -> None:
    lines = np.zeros((2400, 320, 3), np.uint8)
    lines[:, ::4] = lines[:, 1::4] = 255
    for name in ("lines.png", "lines.jpg"):
        Image.fromarray(lines).save(tmp_path / name, quality=95)
    shots = [{"image_key": name, "duration_frames": 1} for name in ("lines.png", "lines.jpg")]
    renderer = Renderer(make_project(*shots, size={"width": 320, "height": 90}, fit="stretch"), Folder(tmp_path))
    contrast = [float(renderer.frame(number)[45].std()) for number in (0, 1)]
    assert contrast[1] > 0.9 * contrast[0] > 50


def test_all_that_is_missing_or_broken_is_told_by_its_field(tmp_path: Path, folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    project = make_project(
        {"image_key": "missing.png"},
        {"image_key": "broken.jpg"},
        {"grade": {"preset_id": "builtin_nothing"}, "caption": {"text": "你好"}},
        audio=[{"audio_key": "missing.wav"}],
    )
    sources = Folder(folder)
    problems = {problem.field: problem.message for problem in check_sources(project, sources)}
    assert problems.keys() == {
        "shots.0.image_key",
        "shots.1.image_key",
        "shots.2.grade.preset_id",
        "shots.2.caption.text",
        "audio.0.audio_key",
    }
    assert problems["shots.0.image_key"] == "missing.png cannot be read: No such file or directory"
    assert problems["shots.2.caption.text"] == "noto_sans has no 你 好"
    plan = plan_film(Timeline(project))
    with pytest.raises(MediaError, match=r"shots\.0\.image_key: missing\.png"):
        render_segment(project, plan, plan.segments[0], sources, tmp_path / "0.mp4")


def test_a_picture_of_many_shots_is_read_once_to_be_checked(folder: Path) -> None:
    class Counting(Folder):
        def image(self, key: str) -> bytes:
            read.append(key)
            return super().image(key)

    read: list[str] = []
    missing = {"image_key": "missing.png"}
    problems = check_sources(make_project({}, missing, {}, missing), Counting(folder))
    assert [problem.field for problem in problems] == ["shots.1.image_key", "shots.3.image_key"]
    assert sorted(read) == ["coffee.png", "missing.png"]


def test_segments_of_other_settings_or_lengths_are_not_joined(tmp_path: Path, sources: Folder) -> None:
    project = make_project({"duration_frames": 40})
    plan = plan_film(Timeline(project), segments=2)
    export(project, plan, sources, tmp_path)
    paths = [tmp_path / "0.part", tmp_path / "1.part"]
    assert plan.segments[1].start_frame == 8
    short = plan.segments[1].model_copy(update={"end_frame": 20})
    shorter = plan.model_copy(update={"segments": (plan.segments[0], short)})
    with pytest.raises(SegmentError, match="32 frames, and should have 12"):
        finish_film(project, shorter, paths, sources, tmp_path / "film.mp4")
    other = project.model_copy(update={"output": project.output.model_copy(update={"quality": "draft"})})
    render_segment(other, plan, plan.segments[1], sources, paths[1])
    with pytest.raises(SegmentError, match="other settings"):
        finish_film(project, plan, paths, sources, tmp_path / "film.mp4")
