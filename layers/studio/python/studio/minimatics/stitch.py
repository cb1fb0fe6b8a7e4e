"""Segments and sound into the film: packets are joined as they are, and the sound is encoded; a GIF is made here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from heapq import merge
from math import lcm
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler

from studio.minimatics.audio import Samples
from studio.minimatics.gif import write_gif
from studio.minimatics.models import SAMPLE_RATE, FilmOutput, Size

_FINEST_TIMESCALE = 10_000_000
_SOUND = {
    "mp4": ("aac", {"b": "192k"}),
    "mov": ("pcm_s24le", {}),
    "webm": ("libopus", {"b": "160k"}),
}


class SegmentError(Exception):
    """A segment's file is not what its plan says."""


def stitch(
    segments: Sequence[tuple[Path, int]],
    sound: Iterable[Samples] | None,
    path: Path,
    output: FilmOutput,
    size: Size,
    fps: Fraction,
    report: Callable[[int], None] = lambda frames: None,
) -> None:
    """Join a film. A GIF alone is encoded only here, and has no sound.

    Parameters
    ----------
    segments : sequence of (Path, int)
        Files of `encode_segment` in order, and how many frames each has.
    sound : iterable of ndarray of float32 | None
        (n, 2) each, as `audio.mix` yields them; None for a silent film.
    path : Path
        Where to; replaced if it exists.
    output : FilmOutput
    size : Size
    fps : Fraction
    report : callable
        Is told how many frames are joined, after each.

    Raises
    ------
    SegmentError
        Where a file has other frames than it should, or was encoded by other settings than the first.
    """
    if output.codec == "gif":
        frames = sum(count for _, count in segments)
        write_gif(lambda: _decoded(segments), frames, path, output, size, fps, report)
        return
    options = {"movflags": "+faststart", "movie_timescale": str(_timescale(fps))} if output.container != "webm" else {}
    with (
        av.open(str(segments[0][0])) as first,
        av.open(str(path), "w", format=output.container, options=options) as film,
    ):
        video = film.add_stream_from_template(first.streams.video[0])
        video.time_base = 1 / fps
        packets = [_video_packets(segments, bytes(first.streams.video[0].codec_context.extradata or b""), video, fps)]
        if sound is not None:
            encoder, bitrate = _SOUND[output.container]
            audio = film.add_stream(encoder, rate=SAMPLE_RATE, layout="stereo", options=bitrate)
            packets.append(_sound_packets(sound, audio))
        joined = 0
        for packet in merge(*packets, key=lambda packet: packet.dts * packet.time_base):
            joined += packet.stream is video
            film.mux(packet)
            report(joined)


def _video_packets(segments: Sequence[tuple[Path, int]], extradata: bytes, video: Any, fps: Fraction) -> Iterator[Any]:
    packet: Any
    first = 0
    for path, frames in segments:
        count = 0
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if bytes(stream.codec_context.extradata or b"") != extradata:
                raise SegmentError(f"{path.name} was encoded by other settings than the first segment")
            for packet in container.demux(stream):
                if packet.dts is None:  # the demuxer's way of saying that it is at the end
                    continue
                # In frames, whatever unit the file counts in.
                packet.pts = first + round(packet.pts * packet.time_base * fps)
                packet.dts = first + round(packet.dts * packet.time_base * fps)
                packet.duration = 1
                packet.time_base = 1 / fps
                packet.stream = video
                count += 1
                yield packet
        _expect(path, count, frames)
        first += frames


def _decoded(segments: Sequence[tuple[Path, int]]) -> Iterator[av.VideoFrame]:
    for path, frames in segments:
        count = 0
        with av.open(str(path)) as container:
            for frame in container.decode(container.streams.video[0]):
                count += 1
                yield frame
        _expect(path, count, frames)


def _expect(path: Path, count: int, frames: int) -> None:
    if count != frames:
        raise SegmentError(f"{path.name} has {count} frames, and should have {frames}")


def _timescale(fps: Fraction) -> int:
    """Tell the unit in which an MP4 can say both how long its frames and how long its samples are."""
    exact = lcm(SAMPLE_RATE, fps.numerator)
    return exact if exact <= _FINEST_TIMESCALE else SAMPLE_RATE


def _sound_packets(sound: Iterable[Samples], audio: Any) -> Iterator[Any]:
    context = audio.codec_context
    fitted = AudioResampler(context.format, context.layout, SAMPLE_RATE, frame_size=_frame_size(context))
    place = 0
    for samples in sound:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = place
        frame.time_base = Fraction(1, SAMPLE_RATE)
        place += len(samples)
        for ready in fitted.resample(frame):
            yield from audio.encode(ready)
    for ready in fitted.resample(None):
        yield from audio.encode(ready)
    yield from audio.encode(None)


def _frame_size(context: Any) -> int:
    """Tell how many samples the encoder takes at a time."""
    context.open(strict=False)
    size: int = context.frame_size
    return size
