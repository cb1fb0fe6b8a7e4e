"""Captions as files beside the film: SubRip and WebVTT."""

import re

from studio.minimatics.timeline import Cue, Timeline


def write_srt(timeline: Timeline) -> str:
    """Write a film's captions as SubRip (.srt).

    Parameters
    ----------
    timeline : Timeline

    Returns
    -------
    str
        To be stored as UTF-8.
    """
    return "\n".join(
        f"{number}\n{_times(timeline, cue, ',')}\n{_plain(cue)}\n" for number, cue in enumerate(timeline.cues, start=1)
    )


def write_webvtt(timeline: Timeline) -> str:
    """Write a film's captions as WebVTT (.vtt), placed as the film has them.

    Parameters
    ----------
    timeline : Timeline

    Returns
    -------
    str
        To be stored as UTF-8.
    """
    return "\n".join(["WEBVTT\n", *(_block(timeline, cue) for cue in timeline.cues)])


def _plain(cue: Cue) -> str:
    """Keep players from taking text for times or for tags: SubRip has no way to say that it is none."""
    return re.sub("[<{]", "\\g<0>\u200b", _text(cue).replace("-->", "→"))


def _block(timeline: Timeline, cue: Cue) -> str:
    text = _text(cue).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_times(timeline, cue, '.')}{_settings(cue)}\n{text}\n"


def _settings(cue: Cue) -> str:
    style = cue.caption.style
    line = {"top": " line:0", "middle": " line:50%", "bottom": ""}[style.position]
    align = {"left": " align:left", "centre": "", "right": " align:right"}[style.align]
    return line + align


def _text(cue: Cue) -> str:
    """Leave empty lines out: one would end the caption."""
    return "\n".join(line for line in cue.caption.text.splitlines() if line.strip())


def _times(timeline: Timeline, cue: Cue, point: str) -> str:
    return f"{_stamp(timeline, cue.start, point)} --> {_stamp(timeline, cue.end, point)}"


def _stamp(timeline: Timeline, frame: int, point: str) -> str:
    milliseconds = round(timeline.seconds(frame) * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
