"""What is seen in each frame of a film: pure arithmetic over a project's shots."""

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

from studio.minimatics.models import SAMPLE_RATE, Caption, Project, Transition


@dataclass(frozen=True)
class Look:
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
    first : Look
        The shot, or the one that a transition leaves.
    second : Look | None
        The one that a transition enters.
    transition : Transition | None
        Where there is a second.
    progress : float
        Of the transition, above 0 and below 1: neither of its frames is one of the shots alone.
    captions : tuple of Caption
        Those that stand, lowest first.
    """

    first: Look
    second: Look | None = None
    transition: Transition | None = None
    progress: float = 0
    captions: tuple[Caption, ...] = ()


@dataclass(frozen=True)
class Cue:
    """A caption from a frame of the film up to and without another one."""

    start: int
    end: int
    caption: Caption


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

    def __post_init__(self) -> None:
        shots = self.project.shots
        steps = [shot.duration_frames - shot.transition.duration_frames for shot in shots]
        *starts, frames = accumulate(steps, initial=0)
        object.__setattr__(self, "starts", tuple(starts))
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "cues", tuple(sorted(self._find_cues(), key=lambda cue: cue.start)))

    @property
    def samples(self) -> int:
        """Length of the sound: the film's, rounded to a sample."""
        return round(self.frames / self.project.fps * SAMPLE_RATE)

    def seconds(self, frame: int) -> Fraction:
        """Tell when a frame begins."""
        return frame / self.project.fps

    def end(self, shot: int) -> int:
        """Return the frame after a shot's last, in the film."""
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
        captions = tuple(cue.caption for cue in self.cues if cue.start <= frame < cue.end)
        latest = bisect_right(self.starts, frame) - 1
        look = Look(latest, frame - self.starts[latest])
        if latest == 0 or frame >= self.end(latest - 1):
            return Moment(look, captions=captions)
        transition = self.project.shots[latest - 1].transition
        leaving = Look(latest - 1, frame - self.starts[latest - 1])
        progress = (look.frame + 1) / (transition.duration_frames + 1)
        return Moment(leaving, look, transition, progress, captions)

    def _find_cues(self) -> list[Cue]:
        cues = []
        before = 0
        for start, shot in zip(self.starts, self.project.shots, strict=True):
            after = shot.transition.duration_frames
            if caption := shot.caption:
                cues.append(_cue(caption, start, before // 2, shot.duration_frames - (after - after // 2)))
            before = after
        return cues


def _cue(caption: Caption, start: int, first: int, last: int) -> Cue:
    """Place a caption in the film; `first` and `last` are where it stands by default, in the shot."""
    if caption.start_frame is not None:
        first = caption.start_frame
        last = max(last, first + 1)
    if caption.end_frame is not None:
        last = caption.end_frame
        first = min(first, last - 1)
    return Cue(start + first, start + last, caption)
