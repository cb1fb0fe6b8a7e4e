"""Frames to an animated GIF, all of one palette."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from math import ceil
from pathlib import Path
from typing import cast

import av
from av.filter import Graph
from av.filter.context import FilterContext

from studio.minimatics.models import FilmOutput, Size

# Quality -> how many colours, and how those between them are made. Bayer's pattern stays where it is from frame to
# frame, and is packed the better for it.
_COLOURS = {
    "draft": (64, "bayer:bayer_scale=4"),
    "standard": (256, "bayer:bayer_scale=3"),
    "high": (256, "sierra2_4a"),
}
_LOOKED_AT = 64  # frames that the palette is made of, spread over the film: finding it takes longer than using it


def write_gif(
    frames: Callable[[], Iterable[av.VideoFrame]],
    count: int,
    path: Path,
    output: FilmOutput,
    size: Size,
    fps: Fraction,
    report: Callable[[int], None] = lambda frames: None,
) -> None:
    """Write an animated GIF that repeats for ever.

    Parameters
    ----------
    frames : callable
        Yields the frames, in RGB; called twice, for what the palette is and for the film.
    count : int
        How many frames there are.
    path : Path
        Replaced if it exists.
    output : FilmOutput
    size : Size
    fps : Fraction
        Of 50 at most: GIF counts in hundredths of a second, and viewers slow down what takes less than two.
    report : callable
        Is told how many frames are written, after each.
    """
    colours, dither = _COLOURS[output.quality]
    step = ceil(count / _LOOKED_AT)
    palette = _palette(islice(frames(), 0, None, step), colours, size, fps)
    graph = Graph()
    picture = _source(graph, size, fps)
    chosen = graph.add_buffer(width=palette.width, height=palette.height, format=palette.format, time_base=1 / fps)
    mapped = graph.add("paletteuse", f"dither={dither}:diff_mode=rectangle")
    sink = graph.add("buffersink")
    picture.link_to(mapped, 0, 0)
    chosen.link_to(mapped, 0, 1)
    mapped.link_to(sink)
    graph.configure()
    chosen.push(palette)
    chosen.push(None)
    with av.open(str(path), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=fps)
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "pal8"
        stream.codec_context.time_base = stream.time_base = 1 / fps
        for number, frame in enumerate(frames()):
            frame.pts, frame.time_base = number, 1 / fps
            picture.push(frame)
            container.mux(stream.encode(cast(av.VideoFrame, sink.pull())))
            report(number + 1)
        container.mux(stream.encode(None))


def _palette(frames: Iterable[av.VideoFrame], colours: int, size: Size, fps: Fraction) -> av.VideoFrame:
    """Choose the colours by median cut over all frames."""
    graph = Graph()
    source = _source(graph, size, fps)
    sink = graph.add("buffersink")
    graph.link_nodes(source, graph.add("palettegen", f"max_colors={colours}:reserve_transparent=0"), sink).configure()
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, 1 / fps
        source.push(frame)
        with suppress(BlockingIOError):  # there is no palette yet; but nobody else makes the graph take the frame
            sink.pull()
    source.push(None)
    return cast(av.VideoFrame, sink.pull())


def _source(graph: Graph, size: Size, fps: Fraction) -> FilterContext:
    return graph.add_buffer(width=size.width, height=size.height, format=av.VideoFormat("gbrp"), time_base=1 / fps)
