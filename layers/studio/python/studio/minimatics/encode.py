"""Frames to video by PyAV, in BT.709 of limited range: H.264, HEVC and VP9 in 4:2:0, ProRes in 4:2:2 of 10 bits."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, cast

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from studio.minimatics.models import FilmOutput, Size
from studio.minimatics.motion import Pixels

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

Codec = Literal["libx264", "libx265", "libvpx-vp9", "prores_ks", "libx264rgb"]
# A GIF has one palette, which is known when all of it is rendered: until then it is kept without loss.
ENCODERS: dict[str, Codec] = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
    "gif": "libx264rgb",
}

# Encoder -> quality -> its options.
_OPTIONS: dict[Codec, dict[str, dict[str, str]]] = {
    "libx264": {
        "draft": {"preset": "veryfast", "crf": "28"},
        "standard": {"preset": "medium", "crf": "18"},
        "high": {"preset": "slow", "crf": "15"},
    },
    "libx265": {
        "draft": {"preset": "ultrafast", "crf": "30"},
        "standard": {"preset": "fast", "crf": "21"},
        "high": {"preset": "medium", "crf": "18"},
    },
    "libvpx-vp9": {
        "draft": {"deadline": "realtime", "cpu-used": "8", "crf": "40", "b": "0"},
        "standard": {"deadline": "good", "cpu-used": "4", "crf": "28", "b": "0", "row-mt": "1"},
        "high": {"deadline": "good", "cpu-used": "2", "crf": "20", "b": "0", "row-mt": "1"},
    },
    "prores_ks": {
        "draft": {"profile": "proxy", "vendor": "apl0"},
        "standard": {"profile": "standard", "vendor": "apl0"},
        "high": {"profile": "hq", "vendor": "apl0"},
    },
    "libx264rgb": {quality: {"preset": "ultrafast", "qp": "0"} for quality in ("draft", "standard", "high")},
}
_PIXEL_FORMATS: dict[Codec, str] = {"prores_ks": "yuv422p10le", "libx264rgb": "bgr24"}
_KEYFRAME_SECONDS = 2
_AHEAD = 2  # frames that are made before the encoder takes them
_LOOKAHEAD = 24  # frames; x264's own 40 take 120 MB more at 1080p
_CPU_AVX_512F = 13  # OpenCV's number, which its Python leaves out

# ITU-R BT.709-6, from display-encoded BGR 0..255 to codes of limited range.
_RED, _GREEN, _BLUE = 0.2126, 0.7152, 0.0722
_LUMA = np.array([_BLUE, _GREEN, _RED])
_TO_YUV = np.vstack(
    [
        np.append(_LUMA * 219 / 255, 16),
        np.append((np.array([1, 0, 0]) - _LUMA) / (2 * (1 - _BLUE)) * 224 / 255, 128),
        np.append((np.array([0, 0, 1]) - _LUMA) / (2 * (1 - _RED)) * 224 / 255, 128),
    ]
).astype(np.float32)


def add_video_stream(
    container: "OutputContainer", output: FilmOutput, size: Size, fps: Fraction, threads: int
) -> "VideoStream":
    """Open an encoder: the same settings whichever segment it is for, so that segments can be joined.

    Parameters
    ----------
    container : OutputContainer
    output : FilmOutput
    size : Size
    fps : Fraction
    threads : int
        Of the encoder; its result depends on their number.
    """
    encoder = ENCODERS[output.codec]
    stream = container.add_stream(encoder, rate=fps)
    stream.width, stream.height, stream.pix_fmt = size.width, size.height, _PIXEL_FORMATS.get(encoder, "yuv420p")
    context = stream.codec_context
    context.time_base = stream.time_base = 1 / fps
    context.gop_size = round(_KEYFRAME_SECONDS * fps)
    context.thread_count = threads
    if encoder != "libx264rgb":
        context.color_primaries = 1
        context.color_trc = 1
        context.colorspace = 1
        context.color_range = 1
    stream.options = {**_OPTIONS[encoder][output.quality], **_bounded(encoder, threads)}
    if encoder == "libx265":
        context.codec_tag = "hvc1"  # QuickTime takes no other
    return stream


def _bounded(encoder: Codec, threads: int) -> dict[str, str]:
    """Close the groups of pictures, and hold the encoder to its threads."""
    if encoder == "libx264":
        # x264's lookahead in AVX-512 depends on memory that nothing has written: the same frames would make another
        # film in another process. AVX2 is as fast.
        instructions = ":asm=AVX2" if cv2.checkHardwareSupport(_CPU_AVX_512F) else ""
        # Nor may its threads share a frame, as PyAV has it by default: what they make depends on which is first.
        threading = f"threads={threads}:sliced-threads=0:lookahead-threads=1"
        return {"x264-params": f"open-gop=0:{threading}:rc-lookahead={_LOOKAHEAD}{instructions}"}
    if encoder == "libx265":
        # Its options are told in the stream's header, the machine's kind of CPU among them: segments of two machines
        # would have different ones, and not be joined.
        return {"x265-params": f"open-gop=0:pools={threads}:frame-threads=1:info=0:log-level=error"}
    return {}


def encode_segment(
    frames: Iterable[Pixels], path: Path, output: FilmOutput, size: Size, fps: Fraction, threads: int
) -> None:
    """Encode frames to a file of video alone: QuickTime for ProRes, else an MP4, whatever the film will be.

    Parameters
    ----------
    frames : iterable of ndarray
        (height, width, 3) BGR uint8, sRGB.
    path : Path
        Replaced if it exists.
    output : FilmOutput
    size : Size
    fps : Fraction
    threads : int
        Of the encoder.
    """
    with av.open(str(path), "w", format="mov" if output.codec == "prores" else "mp4") as container:
        stream = add_video_stream(container, output, size, fps, threads)
        for packet in encode_frames(stream, frames):
            container.mux(packet)


def encode_frames(stream: "VideoStream", frames: Iterable[Pixels]) -> Iterator[Any]:
    """Encode frames.

    Parameters
    ----------
    stream : VideoStream
        As `add_video_stream` returns it.
    frames : iterable of ndarray
        (height, width, 3) BGR uint8. A thread makes a few ahead, unless the encoder has only one.

    Yields
    ------
    av.Packet
        Each with the duration of a frame.
    """
    pixel_format = stream.pix_fmt or "yuv420p"
    ready = (to_video_frame(pixels, pixel_format) for pixels in frames)
    # An encoder of one thread is for a core alone.
    for number, frame in enumerate(ready if stream.codec_context.thread_count == 1 else _ahead(ready)):
        frame.pts = number
        frame.time_base = stream.codec_context.time_base
        yield from _timed(stream.encode(frame))
    yield from _timed(stream.encode(None))


def _ahead(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Make frames while the encoder works on those before them: its threads never wait for one."""
    # No executor: one that a signal's exception gets into keeps its lock, and is waited for, for ever.
    wanted: SimpleQueue[bool] = SimpleQueue()
    made: SimpleQueue[av.VideoFrame | BaseException | None] = SimpleQueue()

    def make() -> None:
        while wanted.get():
            try:
                made.put(next(frames, None))
            except BaseException as error:  # raised where the frame is waited for
                made.put(error)

    try:
        Thread(target=make, name="frames ahead", daemon=True).start()
        for _ in range(_AHEAD):
            wanted.put(True)
        while (frame := made.get()) is not None:
            if isinstance(frame, BaseException):
                raise frame
            wanted.put(True)
            yield frame
    finally:
        wanted.put(False)


def _timed(packets: Iterable[Any]) -> Iterator[Any]:
    for packet in packets:
        packet.duration = 1  # of the encoder's time base; not every encoder says so
        yield packet


def to_video_frame(pixels: Pixels, pixel_format: str = "yuv420p") -> av.VideoFrame:
    """Convert a picture to what encoders take.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR of sRGB, whose codes are taken for those of BT.709, as is the custom.
    pixel_format : {"yuv420p", "yuv422p10le", "bgr24"}
        FFmpeg's name of it.
    """
    if pixel_format == "bgr24":
        frame = av.VideoFrame.from_ndarray(pixels, "bgr24")
    else:
        height, width = pixels.shape[:2]
        frame = av.VideoFrame(width, height, pixel_format)
        planes = to_planes(pixels) if pixel_format == "yuv420p" else to_deep_planes(pixels)
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.frombuffer(cast(Any, plane), values.dtype).reshape(-1, plane.line_size // values.itemsize)
            rows[: len(values), : values.shape[1]] = values
        frame.color_range, frame.colorspace = 1, 1
        frame.color_primaries, frame.color_trc = 1, 1
    frame.pict_type = PictureType.NONE
    return frame


def to_planes(pixels: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Convert a picture to BT.709's Y', and C'b and C'r of half its width and height.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.

    Returns
    -------
    tuple of ndarray of uint8
        Of limited range, rounded. Chroma lies where MPEG-2 has it, and with it H.264 that says nothing else: on every
        second column, between the rows.
    """
    height, width = pixels.shape[:2]
    luma = cv2.extractChannel(cast(Any, cv2.transform(pixels, _TO_YUV)), 0)
    # Columns weighed 1 2 1 about the even ones are the mean of the pairs that begin there and those that end there.
    # OpenCV is fast at squares of four alone: these halve the rows, too.
    ending = np.empty_like(pixels)
    ending[:, 0], ending[:, 1:] = pixels[:, 0], pixels[:, :-1]
    halves = [cv2.resize(pairs, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for pairs in (pixels, ending)]
    chroma = cv2.transform(cv2.addWeighted(halves[0], 0.5, halves[1], 0.5, 0), _TO_YUV)
    planes = (luma, cv2.extractChannel(chroma, 1), cv2.extractChannel(chroma, 2))
    return cast(tuple[Pixels, Pixels, Pixels], planes)


def to_deep_planes(pixels: Pixels) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    """Convert a picture to BT.709's Y', and C'b and C'r of half its width, in 10 bits.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.

    Returns
    -------
    tuple of ndarray of uint16
        Of limited range, 0..1023, rounded. Chroma lies on every second column, of those about it weighed 1 2 1.
    """
    codes = cv2.transform(pixels.astype(np.uint16) * 4, _TO_YUV * np.array([1, 1, 1, 4], np.float32))
    luma, *differences = cv2.split(codes)
    height, width = luma.shape
    halved = []
    for plane in differences:
        even, odd = cv2.split(plane.reshape(height, width // 2, 2))
        before = np.empty_like(odd)
        before[:, 0], before[:, 1:] = even[:, 0], odd[:, :-1]
        halved.append((before + 2 * even + odd + 2) // 4)
    return cast(tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]], (luma, *halved))
