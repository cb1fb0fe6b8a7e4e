"""What is seen in each frame of a film: pure arithmetic over a project's shots."""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate

from studio.minimatics.models import SAMPLE_RATE, Caption, Project, Shot, Transition


@dataclass(frozen=True)
class ShotFrame:
    """A shot at one of its frames.

    Attributes
    ----------
    shot : int
        Its number in the project.
    frame : int
        Counted from the shot's own first.
    """

    shot: int
    frame: int


@dataclass(frozen=True)
class Moment:
    """What a frame of the film shows.

    Attributes
    ----------
    first : ShotFrame
        The shot, or the one that a transition leaves.
    second : ShotFrame | None
        The one that a transition enters.
    transition : Transition | None
        Where there is a second.
    progress : float
        Of the transition, above 0 and below 1: neither of its frames is one of the shots alone.
    captions : tuple of Caption
        Those that stand, lowest first.
    """

    first: ShotFrame
    second: ShotFrame | None = None
    transition: Transition | None = None
    progress: float = 0
    captions: tuple[Caption, ...] = ()


@dataclass(frozen=True)
class Cue:
    """A shot's caption, from a frame of the film up to and without another one."""

    start: int
    end: int
    caption: Caption
    shot: int


@dataclass(frozen=True)
class Timeline:
    """A project's frames.

    Attributes
    ----------
    project : Project
    starts : tuple of int
        First frame of each shot, in the film.
    frames : int
        Length of the film: the shots' frames without those that two of them share.
    cues : tuple of Cue
        By start.
    """

    project: Project
    starts: tuple[int, ...] = field(init=False)
    frames: int = field(init=False)
    cues: tuple[Cue, ...] = field(init=False)
    _cue_of_shot: dict[int, Cue] = field(init=False)

    def __post_init__(self) -> None:
        shots = self.project.shots
        steps = [shot.duration_frames - shot.transition.duration_frames for shot in shots]
        *starts, frames = accumulate(steps, initial=0)
        object.__setattr__(self, "starts", tuple(starts))
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "cues", self._find_cues())
        object.__setattr__(self, "_cue_of_shot", {cue.shot: cue for cue in self.cues})

    @property
    def samples(self) -> int:
        """Length of the sound: the film's, rounded to a sample."""
        return round(self.frames / self.project.fps * SAMPLE_RATE)

    def seconds(self, frame: int) -> Fraction:
        """Tell when a frame begins.

        Parameters
        ----------
        frame : int
            0 up to and with `frames`, which is the film's end.

        Returns
        -------
        Fraction
            Seconds.
        """
        return frame / self.project.fps

    def end(self, shot: int) -> int:
        """Return the frame after a shot's last, in the film.

        Parameters
        ----------
        shot : int
            Its number in the project.

        Returns
        -------
        int
        """
        return self.starts[shot] + self.project.shots[shot].duration_frames

    def moment(self, frame: int) -> Moment:
        """Tell what a frame shows.

        Parameters
        ----------
        frame : int
            0 up to and without `frames`.

        Raises
        ------
        IndexError
            Where the film has no such frame.
        """
        if not 0 <= frame < self.frames:
            raise IndexError(f"the film has frames 0 to {self.frames - 1}, not {frame}")
        latest = bisect_right(self.starts, frame) - 1
        entering = ShotFrame(latest, frame - self.starts[latest])
        cues = (self._cue_of_shot.get(shot) for shot in (latest - 1, latest))
        captions = tuple(cue.caption for cue in cues if cue and cue.start <= frame < cue.end)
        if latest == 0 or frame >= self.end(latest - 1):
            return Moment(entering, captions=captions)
        transition = self.project.shots[latest - 1].transition
        leaving = ShotFrame(latest - 1, frame - self.starts[latest - 1])
        progress = (entering.frame + 1) / (transition.duration_frames + 1)
        return Moment(leaving, entering, transition, progress, captions)

    def _find_cues(self) -> tuple[Cue, ...]:
        cues: list[Cue] = []
        before = 0
        for number, (start, shot) in enumerate(zip(self.starts, self.project.shots, strict=True)):
            after = shot.transition.duration_frames
            if caption := shot.caption:
                first, last = _stands(caption, before // 2, shot.duration_frames - (after - after // 2), shot)
                if first < last:  # shots may be all transition
                    cues.append(Cue(start + first, start + last, caption, number))
            before = after
        return _one_at_a_place(sorted(cues, key=lambda cue: cue.start))


def _stands(caption: Caption, first: int, last: int, shot: Shot) -> tuple[int, int]:
    """Tell from where to where in its shot a caption stands; `first` and `last` are where it does by default."""
    if caption.start_frame is not None:
        first = caption.start_frame
        last = last if first < last else shot.duration_frames
    if caption.end_frame is not None:
        last = caption.end_frame
        first = first if first < last else 0
    return first, last


def _one_at_a_place(cues: list[Cue]) -> tuple[Cue, ...]:
    """End each cue where the next one at its position begins, and leave out those that nothing is left of."""
    following: dict[str, int] = {}
    ended = []
    for cue in reversed(cues):
        position = cue.caption.style.position
        ended.append(replace(cue, end=min(cue.end, following.get(position, cue.end))))
        following[position] = cue.start
    return tuple(cue for cue in reversed(ended) if cue.start < cue.end)
