"""The film's sound: recordings mixed to 48 kHz stereo, exact to the sample, a second at a time."""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from studio.minimatics.errors import MediaError
from studio.minimatics.models import SAMPLE_RATE, AudioClip, Project
from studio.minimatics.sources import Sources, missing
from studio.minimatics.timeline import Timeline

Samples = NDArray[Any]  # float32, (n, 2), -1..1

_BLOCK = SAMPLE_RATE
# Ducking looks at the voices a hundredth of a second at a time.
_HOP = SAMPLE_RATE // 100
_SPEECH = 10 ** (-45 / 20)  # root mean square above which there is a voice
_ATTACK_HOPS, _HOLD_HOPS, _RELEASE_HOPS = 15, 40, 60


def mix(project: Project, sources: Sources) -> Iterator[Samples]:
    """Mix a project's recordings.

    Parameters
    ----------
    project : Project
    sources : Sources

    Yields
    ------
    ndarray of float32
        (n, 2), within -1..1: together as long as the film.

    Raises
    ------
    MediaError
        Where a recording is missing or cannot be read.
    """
    length = Timeline(project).samples
    ducking = _ducking(project, sources, length)
    tracks = [_Track(project, number, sources) for number in range(len(project.audio))]
    for start in range(0, length, _BLOCK):
        count = min(_BLOCK, length - start)
        mixed = np.zeros((count, 2), np.float32)
        for track in tracks:
            samples = track.read(start, count)
            if samples is None:
                continue
            if track.clip.role == "music" and track.clip.duck_db:
                samples = samples * _gain(ducking, start, count, track.clip.duck_db)
            mixed += samples
        yield np.clip(mixed, -1, 1)


def check_audio(project: Project, sources: Sources) -> list[MediaError]:
    """Tell every recording that is missing, cannot be read, or has nothing where it is trimmed to.

    Parameters
    ----------
    project : Project
    sources : Sources
    """
    problems = []
    for number in range(len(project.audio)):
        try:
            for _ in _decoded(project, number, sources):
                break
        except MediaError as problem:
            problems.append(problem)
    return problems


class _Track:
    """A clip, read on and on from the film's start."""

    def __init__(self, project: Project, number: int, sources: Sources) -> None:
        clip = project.audio[number]
        self.clip = clip
        self._start = round(clip.start_seconds * SAMPLE_RATE)
        self._gain = 10 ** (clip.gain_db / 20)
        self._fade_in, self._fade_out = (round(s * SAMPLE_RATE) for s in (clip.fade_in_seconds, clip.fade_out_seconds))
        room = Timeline(project).samples - self._start
        # Where it ends must be known for it to fade out there; with nothing to fade, the film's end will do.
        self._length = min(room, _length(project, number, sources)) if self._fade_out else room
        self._decoded: Iterator[Samples] | None = _decoded(project, number, sources)
        self._ready: Samples = np.empty((0, 2), np.float32)

    def read(self, start: int, count: int) -> Samples | None:
        """Return what sounds in a block of the film; None where that is nothing. Blocks follow each other."""
        before = min(max(self._start - start, 0), count)
        if before == count:
            return None
        while self._decoded and len(self._ready) < count - before:
            more = next(self._decoded, None)
            if more is None:
                self._decoded = None
            else:
                self._ready = np.concatenate([self._ready, more])
        taken, self._ready = np.split(self._ready, [count - before])
        if not len(taken):
            return None
        block = np.zeros((count, 2), np.float32)
        block[before : before + len(taken)] = taken * self._envelope(start + before - self._start, len(taken))
        return block

    def _envelope(self, start: int, count: int) -> Samples:
        places = np.arange(start, start + count)
        envelope = np.where(places < self._length, self._gain, 0)
        if self._fade_in:
            envelope = envelope * np.clip(places / self._fade_in, 0, 1)
        if self._fade_out:
            envelope = envelope * np.clip((self._length - places) / self._fade_out, 0, 1)
        return envelope.astype(np.float32)[:, None]


def _length(project: Project, number: int, sources: Sources) -> int:
    return sum(len(samples) for samples in _decoded(project, number, sources))


def _decoded(project: Project, number: int, sources: Sources) -> Iterator[Samples]:
    """Decode a clip within its trim."""
    clip, field = project.audio[number], f"audio.{number}.audio_key"
    skipped, left = round(clip.trim.start_seconds * SAMPLE_RATE), None
    if clip.trim.end_seconds is not None:
        left = round(clip.trim.end_seconds * SAMPLE_RATE) - skipped
    is_empty = True
    for samples in _recording(clip, field, sources):
        samples, skipped = samples[skipped:], max(skipped - len(samples), 0)
        if not len(samples):
            continue
        is_empty = False
        yield samples[:left]
        if left is not None and (left := left - len(samples)) <= 0:
            return
    if is_empty:
        raise MediaError(field, f"{clip.audio_key} has no sound from {clip.trim.start_seconds:g} seconds on")


def _recording(clip: AudioClip, field: str, sources: Sources) -> Iterator[Samples]:
    try:
        with av.open(str(sources.audio(clip.audio_key))) as container:
            if not container.streams.audio:
                raise MediaError(field, f"{clip.audio_key} has no sound in it")
            stream = container.streams.audio[0]
            # Told to make two channels of one, the resampler would make it less loud.
            resampler = AudioResampler("flt", "mono" if stream.channels == 1 else "stereo", SAMPLE_RATE)
            for frame in container.decode(stream):
                frame.pts = None  # what a recording leaves out is not made up for by silence
                yield from map(_samples, resampler.resample(frame))
            yield from map(_samples, resampler.resample(None))
    except (LookupError, OSError) as error:
        raise missing(field, clip.audio_key, error) from error
    except av.FFmpegError as error:
        raise MediaError(field, f"{clip.audio_key} cannot be decoded: {error.strerror}") from error


def _samples(frame: Any) -> Samples:
    samples: Samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
    return samples if samples.shape[1] == 2 else np.repeat(samples, 2, axis=1)


def _ducking(project: Project, sources: Sources, length: int) -> NDArray[np.float32]:
    """Tell how far music is ducked, 0..1, at every hop of the film: fully where there is a voice, and near it.

    It goes down before a voice sets in, stays down in its pauses, and comes back slowly.
    """
    hops = -(-length // _HOP) + 1
    spoken = np.zeros(hops, bool)
    if any(clip.role == "music" and clip.duck_db for clip in project.audio):
        voices = [_Track(project, n, sources) for n, clip in enumerate(project.audio) if clip.role == "voice"]
        for start in range(0, length, _BLOCK):
            heard = [samples for voice in voices if (samples := voice.read(start, _BLOCK)) is not None]
            if heard:
                power = (np.sum(heard, axis=0) ** 2).mean(axis=1).reshape(-1, _HOP).mean(axis=1)
                found = np.flatnonzero(np.sqrt(power) > _SPEECH) + start // _HOP
                spoken[found[found < hops]] = True
    return _around(spoken)


def _around(spoken: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Hold where there is a voice, and ramp to there and away from it."""
    hops = len(spoken)
    places = np.arange(hops)
    last = np.maximum.accumulate(np.where(spoken, places, -hops - _HOLD_HOPS - _RELEASE_HOPS))
    following = np.minimum.accumulate(np.where(spoken, places, 2 * hops + _ATTACK_HOPS)[::-1])[::-1]
    away = np.clip(1 - (places - last - _HOLD_HOPS) / _RELEASE_HOPS, 0, 1)
    towards = np.clip(1 - (following - places) / _ATTACK_HOPS, 0, 1)
    ducked: NDArray[np.float32] = np.maximum(away, towards).astype(np.float32)
    return ducked


def _gain(ducking: NDArray[np.float32], start: int, count: int, duck_db: float) -> Samples:
    places = np.arange(start, start + count) / _HOP
    depth = np.interp(places, np.arange(len(ducking)), ducking)
    return (10 ** (duck_db / 20 * depth)).astype(np.float32)[:, None]
