"""The film's sound: recordings mixed to 48 kHz stereo, exact to the sample, a second at a time."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

import av
import numpy as np
from av import AudioFrame, AudioLayout, AudioResampler
from numpy.typing import NDArray

from studio.minimatics.errors import MediaError
from studio.minimatics.models import SAMPLE_RATE, SECONDS_MAX, AudioClip, Project
from studio.minimatics.sources import Sources, missing
from studio.minimatics.timeline import Timeline

Samples = NDArray[Any]  # float32, (n, 2), -1..1

_BLOCK = SAMPLE_RATE
# Ducking looks at the voices a hundredth of a second at a time.
_HOP = SAMPLE_RATE // 100
_SPEECH = 10 ** (-45 / 20)  # root mean square above which there is a voice
_ATTACK_HOPS, _HOLD_HOPS, _RELEASE_HOPS = 15, 40, 60
_RECOVERY = 10 ** (0.3 / 20)  # a hop: how fast what was turned down comes back
_GAP = Fraction(5, 100)  # seconds: timestamps are off by less, and nobody sees lips that are


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
    yield from _limited(_mixed(project, sources, Timeline(project).samples))


def _mixed(project: Project, sources: Sources, length: int) -> Iterator[Samples]:
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
        yield mixed


def _limited(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Turn down what is too loud, from a hop before it on, and up again slowly; what is not stays as it is."""
    gains: list[float] = []  # at the edges of hops: neither of the two that meet there may be too loud
    for block, following in pairwise(chain(blocks, [np.zeros((1, 2), np.float32)])):
        bearable = [*_bearable(block), *_bearable(following[:_HOP])]
        gains = gains[-1:] or bearable[:1]
        for before, after in pairwise(bearable):
            gains.append(min(before, after, gains[-1] * _RECOVERY))
        if min(gains) < 1:
            block = block * np.interp(np.arange(len(block)) / _HOP, np.arange(len(gains)), gains)[:, None]
        yield np.clip(block, -1, 1, dtype=np.float32)


def _bearable(samples: Samples) -> list[float]:
    """Tell what each hop may be multiplied by, 1 at most, for its peak not to pass 1."""
    peaks = np.maximum.reduceat(np.abs(samples).max(axis=1), np.arange(0, len(samples), _HOP))
    return [1 / max(peak, 1) for peak in peaks.tolist()]


def check_audio(project: Project, sources: Sources) -> list[MediaError]:
    """Tell every recording that is missing, cannot be read, or has nothing where it is trimmed to.

    Parameters
    ----------
    project : Project
    sources : Sources
    """
    problems = []
    for number in range(len(project.audio) if project.has_sound else 0):
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
            yield from _converted(container.decode(container.streams.audio[0]))
    except (LookupError, OSError) as error:
        raise missing(field, clip.audio_key, error) from error
    except av.FFmpegError as error:
        raise MediaError(field, f"{clip.audio_key} cannot be decoded: {error.strerror}") from error


def _converted(frames: Iterable[AudioFrame]) -> Iterator[Samples]:
    """Convert decoded sound to ours, a day of it at most; what is missing in between by its times is silence."""
    converter = None
    first = None
    heard = Fraction()  # seconds
    for frame in frames:
        time = heard if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        first = time if first is None else first
        gap = min(time - first - heard, SECONDS_MAX - heard)
        if converter and (gap > _GAP or converter.kind != _kind(frame)):
            yield from converter.convert(None)
            converter = None
        if gap > _GAP:
            silent = round(gap * SAMPLE_RATE)
            for start in range(0, silent, _BLOCK):
                yield np.zeros((min(_BLOCK, silent - start), 2), np.float32)
            heard += gap
        if heard >= SECONDS_MAX:
            return
        converter = converter or _Converter(frame)
        heard += Fraction(frame.samples, frame.sample_rate)
        yield from converter.convert(frame)
    if converter:
        yield from converter.convert(None)


class _Converter:
    """Converts sound of one kind to 48 kHz stereo."""

    def __init__(self, frame: AudioFrame) -> None:
        self.kind = _kind(frame)
        # Told to make two channels of one, the resampler would make it less loud; of many, as loud as their sum.
        self._resampler = AudioResampler("flt", "mono" if frame.layout.nb_channels == 1 else "stereo", SAMPLE_RATE)
        self._level = max(_sum_of_shares(frame.layout), 1) if frame.layout.nb_channels > 2 else 1

    def convert(self, frame: AudioFrame | None) -> Iterator[Samples]:
        """Convert a frame; None for what is left in the end."""
        if frame:
            frame.pts = None
        for ready in self._resampler.resample(frame):
            samples = ready.to_ndarray().reshape(-1, ready.layout.nb_channels) / np.float32(self._level)
            yield samples if samples.shape[1] == 2 else np.repeat(samples, 2, axis=1)


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.layout.name, frame.format.name, frame.sample_rate


def _sum_of_shares(layout: AudioLayout) -> float:
    """Tell how loud stereo gets, at most, that libswresample makes of these channels."""
    full = AudioFrame.from_ndarray(np.ones((1, layout.nb_channels), np.float32), format="flt", layout=layout.name)
    full.sample_rate = SAMPLE_RATE
    return max(float(mixed.to_ndarray().max()) for mixed in AudioResampler("flt", "stereo").resample(full))


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
    places = np.arange(hops, dtype=np.int32)  # a day has millions
    last = np.maximum.accumulate(np.where(spoken, places, np.int32(-hops - _HOLD_HOPS - _RELEASE_HOPS)))
    away = _ramp(places - last - _HOLD_HOPS, _RELEASE_HOPS)
    following = np.minimum.accumulate(np.where(spoken, places, np.int32(2 * hops + _ATTACK_HOPS))[::-1])[::-1]
    return np.maximum(away, _ramp(following - places, _ATTACK_HOPS), out=away)


def _ramp(places: NDArray[np.int32], length: int) -> NDArray[np.float32]:
    """Go from 1 at place 0, and before it, to 0 at place `length`."""
    ramp: NDArray[np.float32] = np.divide(places, -length, dtype=np.float32)
    ramp += 1
    return ramp.clip(0, 1, out=ramp)


def _gain(ducking: NDArray[np.float32], start: int, count: int, duck_db: float) -> Samples:
    near = ducking[start // _HOP : (start + count) // _HOP + 2]  # a block starts at a hop
    depth = np.interp(np.arange(count) / _HOP, np.arange(len(near)), near)
    return (10 ** (duck_db / 20 * depth)).astype(np.float32)[:, None]
