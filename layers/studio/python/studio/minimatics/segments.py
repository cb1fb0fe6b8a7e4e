"""Cutting a film into segments that can be rendered apart, by as many machines."""

from bisect import bisect_left, bisect_right
from itertools import accumulate, pairwise

from pydantic import BaseModel, ConfigDict

from studio.minimatics.timeline import Timeline

# Seconds of one core for a million pixels, measured: what a frame costs is only ever compared and added up.
_RENDERING = 0.006
_MIXING = 0.003
_ENCODING = {
    "h264": {"draft": 0.012, "standard": 0.035, "high": 0.06},
    "hevc": {"draft": 0.03, "standard": 0.1, "high": 0.3},
    "vp9": {"draft": 0.06, "standard": 0.12, "high": 0.3},
    "prores": {"draft": 0.092, "standard": 0.07, "high": 0.076},
    "gif": {"draft": 0.006, "standard": 0.006, "high": 0.006},
}
_JOINING = {"gif": 0.15}  # what is encoded only then
_DECODING = 0.25  # seconds a still, however large the film

_LEEWAY = 0.25  # of a segment's cost: how far a cut goes for a shot's boundary
_SHORTEST = 8  # frames of a segment


class Segment(BaseModel):
    """Frames of a film that are encoded as one piece."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    start_frame: int
    end_frame: int
    cost_seconds: float


class Plan(BaseModel):
    """How a film is rendered. The same plan gives the same film, whoever renders its segments and how often.

    Attributes
    ----------
    frames : int
    encoder_threads : int
        Of each segment.
    segments : tuple of Segment
    joining_seconds : float
        Estimate of what is encoded when they are joined, by one core: nothing but a GIF is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int
    encoder_threads: int
    segments: tuple[Segment, ...]
    joining_seconds: float = 0

    @property
    def cost_seconds(self) -> float:
        """Estimate of all that is to be done for the segments, on one core."""
        return sum(segment.cost_seconds for segment in self.segments)


def plan_film(
    timeline: Timeline,
    *,
    target_seconds: float | None = None,
    segments: int | None = None,
    segments_max: int | None = None,
    encoder_threads: int = 2,
) -> Plan:
    """Cut a film into segments of similar cost.

    They are cut where a shot begins to be seen, or is the only one again, if there is such a frame near enough; else
    where no transition is going on; else anywhere. A cut is off by a quarter of the mean at most, and by what a frame
    costs, or the fewest frames of a segment.

    Parameters
    ----------
    timeline : Timeline
    target_seconds : float | None
        What a segment may cost, in seconds of one core; as many segments then.
    segments : int | None
        How many; one by default.
    segments_max : int | None
        How many at most, whatever they cost.
    encoder_threads : int
        Of each segment; a film depends on it to the bit.
    """
    costs = [0.0, *accumulate(frame_costs(timeline))]
    count = segments or (max(1, round(costs[-1] / target_seconds)) if target_seconds else 1)
    count = max(1, min(count, timeline.frames // _SHORTEST, segments_max or count))
    cuts = [0, *_cuts(timeline, costs, count), timeline.frames]
    joining = _JOINING.get(timeline.project.output.codec, 0) * _million_pixels(timeline) * timeline.frames
    return Plan(
        frames=timeline.frames,
        encoder_threads=encoder_threads,
        segments=tuple(
            Segment(index=index, start_frame=start, end_frame=end, cost_seconds=round(costs[end] - costs[start], 3))
            for index, (start, end) in enumerate(pairwise(cuts))
        ),
        joining_seconds=round(joining, 3),
    )


def frame_costs(timeline: Timeline) -> list[float]:
    """Estimate what each frame costs; a still is decoded at its first.

    Parameters
    ----------
    timeline : Timeline

    Returns
    -------
    list of float
        Seconds of one core, a frame each.
    """
    project = timeline.project
    million_pixels = _million_pixels(timeline)
    encoding = _ENCODING[project.output.codec][project.output.quality]
    costs = [encoding] * timeline.frames
    for start, shot in zip(timeline.starts, project.shots, strict=True):
        if shot.motion.start != shot.motion.to:
            for frame in range(start, start + shot.duration_frames):
                costs[frame] += _RENDERING
        end = start + shot.duration_frames
        for frame in range(end - shot.transition.duration_frames, end):
            costs[frame] += _MIXING
    costs = [cost * million_pixels for cost in costs]
    for start in timeline.starts:
        costs[start] += _DECODING
    return costs


def _million_pixels(timeline: Timeline) -> float:
    return timeline.project.size.width * timeline.project.size.height / 1e6


def _cuts(timeline: Timeline, costs: list[float], count: int) -> list[int]:
    boundaries = sorted({*timeline.starts, *(timeline.end(shot) for shot in range(len(timeline.starts)))})
    share = costs[-1] / count
    cuts: list[int] = []
    for number in range(1, count):
        # Every segment, those to come as well, has its fewest frames; and no cut is far from where it would be best.
        least, most = (cuts[-1] if cuts else 0) + _SHORTEST, timeline.frames - (count - number) * _SHORTEST
        best = min(max(bisect_left(costs, number * share), least), most)
        earliest = max(bisect_left(costs, (number - _LEEWAY) * share), least)
        latest = min(bisect_right(costs, (number + _LEEWAY) * share) - 1, most)
        near = boundaries[bisect_left(boundaries, earliest) : bisect_right(boundaries, latest)]
        if not near:
            near = [frame for frame in range(earliest, latest + 1) if timeline.moment(frame).second is None]
        cuts.append(min(near, key=lambda frame: abs(frame - best)) if near else best)
    return cuts
