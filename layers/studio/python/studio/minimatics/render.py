"""Frames of a film, each a pure function of its number."""

from collections.abc import Iterator

from studio.minimatics.captions import draw
from studio.minimatics.models import Project
from studio.minimatics.motion import Pixels, Still
from studio.minimatics.sources import Sources
from studio.minimatics.stills import load_still
from studio.minimatics.timeline import ShotFrame, Timeline
from studio.minimatics.transitions import join


class Renderer:
    """Renders a project's frames; keeps no more than the stills of the last one.

    Parameters
    ----------
    project : Project
    sources : Sources
    """

    def __init__(self, project: Project, sources: Sources) -> None:
        self.timeline = Timeline(project)
        self._project = project
        self._sources = sources
        self._stills: dict[int, Still] = {}
        self._last: dict[int, tuple[int, Pixels]] = {}  # by shot, for a camera that stands

    def frames(self, start: int, end: int) -> Iterator[Pixels]:
        """Render frames in order.

        Parameters
        ----------
        start, end : int
            The first frame, and the one after the last.

        Yields
        ------
        ndarray of uint8
            As `frame` returns them.
        """
        return (self.frame(number) for number in range(start, end))

    def frame(self, number: int) -> Pixels:
        """Render a frame.

        Parameters
        ----------
        number : int

        Returns
        -------
        ndarray of uint8
            (height, width, 3) BGR, sRGB; not to be written to.

        Raises
        ------
        MediaError
            Where a picture, preset or font lacks what the project asks of it.
        """
        moment = self.timeline.moment(number)
        seen = [shown for shown in (moment.first, moment.second) if shown]
        self._forget_all_but({shown.shot for shown in seen})
        pictures = [self._picture(shown) for shown in seen]
        picture = join(moment.transition, moment.progress, *pictures) if moment.transition else pictures[0]
        if moment.captions and self._project.output.captions != "sidecar":
            picture = draw(moment.captions, picture)
        return picture

    def _forget_all_but(self, shots: set[int]) -> None:
        for shot in self._stills.keys() - shots:
            del self._stills[shot]
            self._last.pop(shot, None)

    def _picture(self, shown: ShotFrame) -> Pixels:
        if shown.shot not in self._stills:
            self._stills[shown.shot] = load_still(self._project, shown.shot, self._sources)
        still = self._stills[shown.shot]
        if shown.shot in self._last:
            frame, picture = self._last[shown.shot]
            if still.is_still(frame, shown.frame):
                return picture
        picture = still.frame(shown.frame)
        self._last[shown.shot] = shown.frame, picture
        return picture
