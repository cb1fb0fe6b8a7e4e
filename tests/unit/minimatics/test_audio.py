import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from local.export import Folder
from studio.minimatics.audio import _around, _gain, check_audio, mix
from studio.minimatics.errors import MediaError
from tests.memory import peak_bytes
from tests.speed import assert_quick
from tests.unit.minimatics import judge
from tests.unit.minimatics.conftest import make_project

Sound = NDArray[Any]


def write_wav(path: Path, samples: Sound, rate: int = 48_000) -> None:
    """Write samples -1..1, (n,) or (n, 2), in 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else 2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())


def tone(seconds: float, hertz: float = 440, level: float = 0.5, rate: int = 48_000) -> Sound:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    write_wav(tmp_path / "noise.wav", np.random.default_rng(0).uniform(-0.3, 0.3, (96_000, 2)))
    write_wav(tmp_path / "music.wav", tone(10, 220, 0.25))
    write_wav(tmp_path / "voice.wav", tone(1, 880, 0.25))
    write_wav(tmp_path / "cd.wav", tone(2, rate=44_100), 44_100)
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("no sound" * 100)
    return tmp_path


def mixed(folder: Path, *clips: dict[str, Any], frames: int = 240) -> Sound:
    """Mix clips in a film of 24 frames a second."""
    project = make_project({"duration_frames": frames}, audio=clips)
    return np.concatenate(list(mix(project, Folder(folder))))


def original(path: Path) -> Sound:
    with wave.open(str(path)) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return raw.reshape(-1, file.getnchannels()) / 32768


def test_a_clip_is_where_it_should_be_to_the_sample(recordings: Path) -> None:
    noise = original(recordings / "noise.wav")
    clip = {"audio_key": "noise.wav", "start_seconds": 1.50001, "gain_db": -6.0206}
    sound = mixed(recordings, clip)
    assert sound.shape == (480_000, 2)
    expected = np.zeros((480_000, 2))
    expected[72_000:168_000] = noise / 2
    assert np.abs(sound - expected).max() < 1e-5


def test_a_trim_and_the_films_end_cut_to_the_sample(recordings: Path) -> None:
    noise = original(recordings / "noise.wav")
    trim = {"start_seconds": 0.25, "end_seconds": 1.00002}
    sound = mixed(recordings, {"audio_key": "noise.wav", "trim": trim}, frames=48)
    assert np.abs(sound[:36_001] - noise[12_000:48_001]).max() < 1e-5
    assert not sound[36_001:].any()
    cut = mixed(recordings, {"audio_key": "noise.wav", "start_seconds": 1}, frames=36)
    assert np.abs(cut[48_000:] - noise[:24_000]).max() < 1e-5


@pytest.mark.parametrize(("frames", "end"), [(240, 144_000), (36, 72_000)])
def test_fades_are_where_the_clip_begins_and_is_last_heard(recordings: Path, frames: int, end: int) -> None:
    write_wav(recordings / "flat.wav", np.full(96_000, 0.5))
    clip = {"audio_key": "flat.wav", "start_seconds": 1, "fade_in_seconds": 0.1, "fade_out_seconds": 0.2}
    sound = mixed(recordings, clip, frames=frames)[:, 0]
    places = np.arange(48_000, end)
    envelope = np.minimum(np.clip((places - 48_000) / 4800, 0, 1), np.clip((end - places) / 9600, 0, 1))
    # A mono recording is as loud in the middle of two channels as it was.
    assert np.abs(sound[48_000:end] / sound.max() - envelope).max() < 1e-3
    assert sound.max() == pytest.approx(0.5, abs=1e-3)


def test_other_rates_keep_their_length_and_pitch(recordings: Path) -> None:
    sound = mixed(recordings, {"audio_key": "cd.wav"}, frames=72)[:, 0]
    assert np.abs(sound[100:95_900] - tone(2)[100:95_900]).max() < 2e-3
    assert np.abs(sound[96_010:]).max() == 0


def test_music_ducks_under_a_voice_and_comes_back(recordings: Path) -> None:
    music = {"audio_key": "music.wav", "role": "music", "duck_db": -12}
    voice = {"audio_key": "voice.wav", "role": "voice", "start_seconds": 4}
    alone = mixed(recordings, music)
    with_voice = mixed(recordings, music, voice) - mixed(recordings, voice)

    def level(second: float) -> float:
        part = slice(round(second * 48_000), round((second + 0.05) * 48_000))
        return float(20 * np.log10(with_voice[part].std() / alone[part].std()))

    assert level(3.5) == pytest.approx(0, abs=0.1)
    assert level(4.0) == pytest.approx(-12, abs=0.3), "before the voice is heard"
    assert level(5.2) == pytest.approx(-12, abs=0.3), "held in its pauses"
    assert -12 < level(5.7) < 0
    assert level(6.5) == pytest.approx(0, abs=0.1)
    loudness = 20 * np.log10(np.abs(with_voice / np.where(alone == 0, 1, alone))[np.abs(alone) > 0.1])
    assert np.abs(np.diff(loudness)).max() < 0.1, "no clicks"


def test_what_is_too_loud_is_turned_down_for_as_long_as_it_is(recordings: Path) -> None:
    noise = original(recordings / "noise.wav")
    loud = {"audio_key": "noise.wav", "start_seconds": 1, "trim": {"end_seconds": 0.505}, "gain_db": 15}
    quiet = {"audio_key": "noise.wav"}
    sound = mixed(recordings, quiet, loud, frames=48)
    asked = noise.copy()
    asked[48_000:72_240] += noise[:24_240] * 10 ** (15 / 20)
    assert np.abs(asked).max() > 1.5
    assert np.abs(sound).max() <= 1
    assert (np.abs(sound) > 0.9999).sum() < 60, "one peak a hop at most: nothing is flattened"
    assert np.array_equal(sound[:47_520], mixed(recordings, quiet, frames=48)[:47_520])
    clear = np.abs(asked).min(axis=1) > 0.01
    gain = (sound[clear] / asked[clear]).mean(axis=1)
    assert np.abs(np.diff(gain)).max() < 0.02, "no clicks"
    assert np.abs(sound[-9600:] - asked[-9600:]).max() < 1e-5, "as loud as before again"


def test_surround_is_as_loud_as_other_players_make_it(recordings: Path) -> None:
    pan = "pan=5.1|FL=c0|FR=c1|FC=c0|LFE=c1|BL=c0|BR=c1"
    surround, stereo = recordings / "surround.flac", recordings / "stereo.wav"
    judge.run("ffmpeg", "-v", "error", "-i", recordings / "noise.wav", "-af", f"volume=3,{pan}", surround)
    judge.run("ffmpeg", "-v", "error", "-i", surround, "-ac", "2", stereo)
    sound = mixed(recordings, {"audio_key": surround.name}, frames=48)
    assert np.abs(sound - original(stereo)).max() < 1e-4


@pytest.mark.parametrize("kind", [("matroska", "pcm_s16le"), ("webm", "libopus")])
def test_what_a_recording_leaves_out_is_silence(recordings: Path, kind: tuple[str, str]) -> None:
    write_wav(recordings / "tones.wav", np.concatenate([tone(1), tone(1, 1000), tone(1, 440, 0.2)]))
    gap = recordings / "gap"
    chosen = "aselect=not(between(t\\,1\\,2))"
    coded = "-f", kind[0], "-c:a", kind[1]
    judge.run("ffmpeg", "-v", "error", "-i", recordings / "tones.wav", "-af", chosen, *coded, gap)
    sound = mixed(recordings, {"audio_key": "gap"}, frames=96)[:, 0]
    heard = np.flatnonzero(np.abs(sound) > 0.05)
    first, second = heard[heard < 72_000], heard[heard > 72_000]
    assert abs(first[-1] - 48_000) < 4800
    assert abs(second[0] - 96_000) < 4800
    assert abs(second[-1] - 144_000) < 4800


def test_a_recording_may_change_its_kind(recordings: Path) -> None:
    data = b""
    for rate, channels in ((44_100, 1), (48_000, 2)):
        coded = "-ar", rate, "-ac", channels, "-f", "mp3", "-write_xing", 0, "-id3v2_version", 0, "-"
        data += judge.run("ffmpeg", "-v", "error", "-i", recordings / "voice.wav", *coded)
    (recordings / "joined.mp3").write_bytes(data)
    sound = mixed(recordings, {"audio_key": "joined.mp3"}, frames=60)
    level = [sound[start : start + 24_000].std() for start in (12_000, 60_000)]
    assert level == pytest.approx([0.25 / np.sqrt(2), 0.125], rel=0.1)


def test_ducking_in_a_film_of_a_day_takes_little() -> None:
    spoken = np.zeros(8_640_001, bool)
    spoken[[0, 4_000_000, -1]] = True
    assert peak_bytes(lambda: _around(spoken)) < 250e6
    ducked = _around(spoken)
    assert ducked[[0, 40, 70, 200, 3_999_984, 3_999_990, 4_000_000, -1]] == pytest.approx(
        [1, 1, 0.5, 0, 0, 1 / 3, 1, 1]
    )

    def duck() -> None:
        for block in range(200):
            _gain(ducked, block * 48_000, 48_000, -12)

    assert_quick(duck, 2)


def test_recordings_that_are_none_are_told_by_their_fields(recordings: Path) -> None:
    clips = [{"audio_key": name} for name in ("empty.mp3", "noise.wav", "text.mp3", "missing.mp3")]
    past = {"audio_key": "noise.wav", "trim": {"start_seconds": 3}}
    project = make_project({"duration_frames": 240}, audio=[*clips, past])
    problems = check_audio(project, Folder(recordings))
    assert [problem.field for problem in problems] == [f"audio.{number}.audio_key" for number in (0, 2, 3, 4)]
    assert "empty.mp3 cannot be decoded" in problems[0].message
    assert "missing.mp3 cannot be read: No such file" in problems[2].message
    assert "no sound from 3 seconds on" in problems[3].message
    with pytest.raises(MediaError, match=r"audio\.0"):
        list(mix(project, Folder(recordings)))
