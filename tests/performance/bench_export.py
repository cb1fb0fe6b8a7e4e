"""Speed of exporting a film, next to only encoding its frames, by the same encoder: `just bench`.

At 1080p, H.264 of preset medium and CRF 18. The project is a fixed one: large photographs, camera moves as they are
usual, dissolves of half a second, a caption, a grade.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import skimage.data

from local.export import Folder
from studio.minimatics.encode import add_video_stream, to_video_frame
from studio.minimatics.film import finish_film, render_segment
from studio.minimatics.models import Project
from studio.minimatics.render import Renderer
from studio.minimatics.segments import Plan, plan_film
from studio.minimatics.timeline import Timeline

WIDTH, HEIGHT = 3000, 2000  # of the photographs
RUNS = 3


def write_photographs(folder: Path) -> None:
    """Write photographs of a camera's size, detail and noise."""
    rng = np.random.default_rng(0)
    for name in ("coffee", "astronaut", "chelsea"):
        small = getattr(skimage.data, name)()[..., ::-1]
        large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noise = cv2.GaussianBlur(rng.normal(0, 6, (HEIGHT, WIDTH, 1)).astype(np.float32), (0, 0), 1.2)[..., None]
        cv2.imwrite(str(folder / f"{name}.jpg"), np.clip(large + noise, 0, 255).astype(np.uint8))


def project(frames: int) -> Project:
    """Return the project, of three shots of about `frames` each."""
    dissolve = {"type": "dissolve", "duration_frames": 12}
    return Project.model_validate(
        {
            "size": "1080p",
            "fps": 24,
            "shots": [
                {
                    "image_key": "coffee.jpg",
                    "duration_frames": frames,
                    "motion": "ken_burns_in",
                    "transition": dissolve,
                    "caption": {"text": "A cup of coffee, and a spoon"},
                },
                {
                    "image_key": "astronaut.jpg",
                    "duration_frames": frames,
                    "motion": "pan_right",
                    "transition": dissolve,
                    "grade": {"auto": True},
                },
                {"image_key": "chelsea.jpg", "duration_frames": frames, "motion": "ken_burns_out"},
            ],
        }
    )


class Cost(NamedTuple):
    """Seconds by the clock, and of all cores together."""

    wall: float
    cores: float


def cost_of(work: Callable[[], Any]) -> Cost:
    """Run something, and tell what it took."""
    wall, cores = perf_counter(), process_time()
    work()
    return Cost(perf_counter() - wall, process_time() - cores)


def export(film: Project, plan: Plan, folder: Path) -> None:
    """Export in this process, segment by segment."""
    paths = [folder / f"{segment.index}.mp4" for segment in plan.segments]
    for segment, path in zip(plan.segments, paths, strict=True):
        render_segment(film, plan, segment, Folder(folder), path)
    finish_film(film, plan, paths, Folder(folder), folder / "film.mp4")


def only_encode(film: Project, plan: Plan, frames: list[av.VideoFrame], path: Path) -> None:
    """Encode frames that are ready in memory, in the encoder's own format."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = add_video_stream(container, film.output, film.size, film.fps, plan.encoder_threads)
        for number, frame in enumerate(frames):
            frame.pts = number
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def against_the_encoder(folder: Path) -> None:
    """Print how fast an export is next to its encoder alone, alternately in one run."""
    film = project(56)
    plan = plan_film(Timeline(film), encoder_threads=os.cpu_count() or 1)
    frames = [to_video_frame(pixels) for pixels in Renderer(film, Folder(folder)).frames(0, plan.frames)]
    alone, whole = [], []
    for _ in range(RUNS):
        alone.append(cost_of(lambda: only_encode(film, plan, frames, folder / "encoded.mp4")))
        whole.append(cost_of(lambda: export(film, plan, folder)))
    (encoder, encoder_cores), (ours, our_cores) = (map(min, zip(*costs, strict=True)) for costs in (alone, whole))
    print(
        f"export {plan.frames / ours:.1f} frames/s, encoder alone {plan.frames / encoder:.1f}: "
        f"ratio {encoder / ours:.2f} (bar 0.80), of cores' time {encoder_cores / our_cores:.2f}"
    )


def in_parallel(folder: Path) -> None:
    """Print how much faster two segments are at once than one after the other, an encoder's thread each."""
    path = folder / "project.json"
    path.write_text(project(56).model_dump_json(by_alias=True))

    def run(*options: str) -> float:
        command = [sys.executable, "-m", "local.export", str(path), "--out", str(folder / "film.mp4"), "--threads", "1"]
        return cost_of(lambda: subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)).wall

    one = min(run("--segments", "2", "--jobs", "1") for _ in range(2))
    two = min(run("--segments", "2") for _ in range(2))
    print(f"two segments: one after the other {one:.1f} s, at once {two:.1f} s: ratio {one / two:.2f} (bar 1.50)")


def memory(folder: Path) -> None:
    """Print the peak memory of a process that renders a segment."""
    path = folder / "project.json"
    path.write_text(project(40).model_dump_json(by_alias=True))
    command = [sys.executable, "-m", "local.export", str(path), "--out", str(folder / "film.mp4")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    peak = max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, before) / 1024
    print(f"peak memory of a segment's process {peak:.0f} MB (bar 600)")


def main() -> None:
    """Print a line a measurement."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_photographs(folder)
        memory(folder)
        against_the_encoder(folder)
        in_parallel(folder)


if __name__ == "__main__":
    main()
