"""The entry point of an export's containers: each renders one segment, and the last one joins them.

`JOB_ID` names the job, `SEGMENT` the segment; without one, the film is joined. Exit codes are those of
`studio.compute_tasks.container`.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
from botocore.exceptions import BotoCoreError, ClientError

from studio import storage
from studio.compute_tasks import executions
from studio.compute_tasks import repository as jobs
from studio.compute_tasks.container import AGAIN, COMPLETED, FINAL, STOPPED, ending_on_sigterm
from studio.compute_tasks.models import Job, Progress
from studio.compute_tasks.registry import TASKS
from studio.compute_tasks.worker import JobTakenError, TimedOutError, explain_failure, pulse
from studio.documents import utc_now
from studio.errors import StudioError
from studio.minimatics.audio import check_audio
from studio.minimatics.errors import MediaError
from studio.minimatics.export import repository, service
from studio.minimatics.export.repository import RENDERED_PERCENT
from studio.minimatics.export.settings import ExportSettings
from studio.minimatics.export.sources import StoredSources
from studio.minimatics.film import check_shots, finish_film, render_segment
from studio.minimatics.models import Project
from studio.minimatics.motion import Pixels
from studio.minimatics.segments import Segment
from studio.minimatics.stitch import SegmentError
from studio.minimatics.timeline import Timeline
from studio.mongo import retry_until_up
from studio.object_keys import job_key
from studio.observability import logger
from studio.tone_mapping.jpeg import encode_jpeg

_TAGS = {"kind": "result"}
_PREVIEW_WIDTH, _PREVIEW_QUALITY = 640, 80
_CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".edl": "text/plain; charset=utf-8",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
}


def main() -> int:
    """Do the container's part of the job `JOB_ID`.

    Returns
    -------
    int
        The exit code.
    """
    job_id, segment = os.environ["JOB_ID"], os.environ.get("SEGMENT")
    logger.append_keys(job_id=job_id, segment=segment, batch_attempt=os.environ.get("AWS_BATCH_JOB_ATTEMPT"))
    with ending_on_sigterm():
        try:
            job = retry_until_up(lambda: executions.begin(job_id))
        except executions.JobOverError as over:
            logger.warning("nothing to do", reason=str(over))
            return COMPLETED if over.status == "COMPLETED" else FINAL
        except SystemExit:
            return STOPPED
        try:
            with TemporaryDirectory() as folder:
                if segment is None:
                    _join(job, Path(folder))
                else:
                    _render(job, int(segment), Path(folder))
        except JobTakenError:
            logger.info("the job is over, or another attempt has it")
            return FINAL
        except SystemExit:
            return STOPPED
        except MediaError as error:
            return _end(job, error.code, str(error), 422)
        except SegmentError as error:
            return _end(job, "SEGMENT_INVALID", f"{error}; export the film again", 500)
        except TimedOutError:
            what = "joining the segments" if segment is None else f"rendering the segment {segment}"
            return _end(
                job, "TASK_TIMED_OUT", f"{what} took longer than {TASKS[service.TASK].timeout_seconds:g} s", 504
            )
        except StudioError as error:
            if error.status < 500:
                return _end(job, error.code, error.message, int(error.status))
            return _retry_or_fail(job, error.code, error.message, int(error.status))
        except Exception as error:
            logger.exception("a part of an export failed")
            told = explain_failure(error)
            return _retry_or_fail(job, told.code, told.message, told.status)
    return COMPLETED


def _end(job: Job, code: str, message: str, status: int) -> int:
    service.fail(job, code, message, status)
    return FINAL


def _retry_or_fail(job: Job, code: str, message: str, status: int) -> int:
    """Leave it to another container; the last one says why."""
    number, attempts = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1")), TASKS[service.TASK].attempts
    if number < attempts:
        return AGAIN
    return _end(job, code, f"{message} (attempt {number} of {attempts})", status)


def _render(job: Job, number: int, folder: Path) -> None:
    project, order = retry_until_up(lambda: service.load(job))
    segment, sources = order.plan.segments[number], StoredSources(job.caller, folder)
    watch = _Watch(job, number, order.plan.frames)
    with pulse(watch.report, TASKS[service.TASK].timeout_seconds):
        problems = check_shots(project, _shown(project, segment), sources)
        if number == 0:
            problems += check_audio(project, sources)
        if problems:
            raise problems[0]
        cv2.setNumThreads(order.plan.encoder_threads)
        file = folder / "segment.mp4"
        render_segment(project, order.plan, segment, sources, file, watch.see)
        storage.upload(service.segment_key(job, number), file, "video/mp4", _TAGS)
    if not retry_until_up(watch.report):
        raise JobTakenError


def _shown(project: Project, segment: Segment) -> list[int]:
    timeline = Timeline(project)
    return [
        number
        for number, start in enumerate(timeline.starts)
        if start < segment.end_frame and timeline.end(number) > segment.start_frame
    ]


class _Watch:
    """How far a segment is, and what it shows."""

    def __init__(self, job: Job, segment: int, total: int) -> None:
        self._job, self._segment, self._total = job, segment, total
        self._frames = 0
        self._picture: Pixels | None = None
        self._shown_at = 0.0

    def see(self, frames: int, picture: Pixels) -> None:
        """Remember how many frames are rendered, and the last one."""
        self._frames, self._picture = frames, picture

    def report(self) -> bool:
        """Write that down; return whether the job is still this attempt's."""
        job, key = self._job, self._show()
        return repository.report_frames(job.id, job.attempt, self._segment, self._frames, self._total, key, utc_now())

    def _show(self) -> str | None:
        """Store a preview where it is time for one, and return its key."""
        picture, key = self._picture, service.preview_key(self._job, self._segment)
        if picture is None or time.monotonic() - self._shown_at < ExportSettings.load().export_preview_seconds:
            return None
        height, width = picture.shape[:2]
        if width > _PREVIEW_WIDTH:
            size = _PREVIEW_WIDTH, max(round(height * _PREVIEW_WIDTH / width), 1)
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        try:
            storage.write(key, encode_jpeg(picture, _PREVIEW_QUALITY), "image/jpeg", _TAGS)
        except (BotoCoreError, ClientError):
            logger.warning("a preview could not be stored")
            return None
        self._shown_at = time.monotonic()
        return key


def _join(job: Job, folder: Path) -> None:
    project, order = retry_until_up(lambda: service.load(job))
    sources, joined, started = StoredSources(job.caller, folder), 0, time.monotonic()

    def report() -> bool:
        share = joined / order.plan.frames
        percent = RENDERED_PERCENT + (99 - RENDERED_PERCENT) * share
        progress = Progress(
            percent=max(percent, job.progress.percent),
            stage="joining the segments",
            eta_seconds=round((time.monotonic() - started) / share * (1 - share), 1) if share else None,
            preview_key=job.progress.preview_key,
        )
        return jobs.touch_job(job.id, job.attempt, progress.to_mongo(), utc_now())

    def see(frames: int) -> None:
        nonlocal joined
        joined = frames

    with pulse(report, TASKS[service.TASK].timeout_seconds):
        segments = []
        for segment in order.plan.segments:
            segments.append(folder / f"{segment.index:04}.mp4")
            if not storage.download(service.segment_key(job, segment.index), segments[-1]):
                raise SegmentError(f"the segment {segment.index} is not there any more")
        film = finish_film(project, order.plan, segments, sources, folder / f"film.{project.output.container}", see)
        retry_until_up(lambda: service.load(job))  # whoever deleted the project meanwhile wants no film of it
        keys = {name: _store(job, file) for name, file in film._asdict().items() if file}
        result = {
            "project_id": order.project_id,
            "version": order.version,
            "film_key": keys["video"],
            "poster_key": keys["poster"],
            "edl_key": keys["edl"],
            "srt_key": keys.get("srt"),
            "webvtt_key": keys.get("webvtt"),
            **project.model_dump(mode="json", include={"size", "fps", "output"}),
            "frames": order.plan.frames,
            "duration_seconds": float(order.plan.frames / project.fps),
            "size_bytes": film.video.stat().st_size,
        }
    if not retry_until_up(lambda: repository.record_film(job.id, job.attempt, result)):
        raise JobTakenError


def _store(job: Job, file: Path) -> str:
    key = job_key(job.user_id, job.id, file.name)
    storage.upload(key, file, _CONTENT_TYPES[file.suffix], _TAGS)
    return key


if __name__ == "__main__":
    sys.exit(main())
