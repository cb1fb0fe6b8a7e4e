"""How exports are recorded, on a real MongoDB; tests/api has them from end to end."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from pymongo.database import Database
from pymongo.errors import ServerSelectionTimeoutError
from samtranslator.yaml_helper import yaml_parse

from local.layers import ROOT
from studio import storage
from studio.compute_tasks import dispatch, executions
from studio.compute_tasks import repository as jobs
from studio.compute_tasks.container import AGAIN, FINAL
from studio.compute_tasks.models import Job
from studio.compute_tasks.registry import TASKS
from studio.documents import new_id
from studio.errors import GoneError, InvalidFieldError, NotFoundError, UnavailableError
from studio.minimatics import repository as projects
from studio.minimatics.api_models import StoredProject
from studio.minimatics.export import container, repository
from studio.minimatics.export import service as export
from studio.minimatics.export.models import ExportVideoRequest
from studio.minimatics.models import Project
from studio.minimatics.service import film_fields
from tests.integration.conftest import Configure

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ARN = "arn:aws:states:us-east-1:123456789012:execution:export:"


@pytest.fixture(autouse=True)
def execution(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what Step Functions says of every execution."""
    told = {"status": "RUNNING", "redriveCount": 0, "error": None, "cause": None}
    monkeypatch.setattr(dispatch, "find_execution", lambda _: told)
    return told


def running(**changes: Any) -> Job:
    job = Job(
        id=new_id("job"),
        user_id="usr_1",
        key_id="key_1",
        scopes=["export"],
        task_type="minimatics_export",
        target="BATCH",
        status="PROCESSING",
        payload={},
        created_at=NOW,
        queued_at=NOW,
        started_at=NOW,
        expires_at=NOW + timedelta(days=1),
    ).model_copy(update=changes)
    assert jobs.insert_job(job)
    return job


def stored(job: Job) -> Job:
    found = jobs.find_job(job.id)
    assert found
    return found


def report(job: Job, segment: int, frames: int, seconds: float = 0, **more: Any) -> bool:
    given: dict[str, Any] = {"attempt": 1, "total": 1000, "preview_key": None} | more
    return repository.report_frames(
        job.id, segment=segment, frames=frames, now=NOW + timedelta(seconds=seconds), **given
    )


def test_progress_is_that_of_all_segments_and_never_goes_back() -> None:
    job = running()
    told = []
    for segment, frames in [(0, 0), (0, 100), (1, 150), (1, 300), (0, 5), (0, 50), (0, 120)]:
        assert report(job, segment, frames)
        told.append(stored(job).progress)
    assert [progress.stage.split()[1] for progress in told] == ["0", "100", "250", "400", "400", "400", "420"]
    assert [progress.percent for progress in told] == pytest.approx([0, 9.5, 23.75, 38, 38, 38, 39.9])


def test_the_time_left_is_that_of_the_pace_of_this_attempt() -> None:
    job = running()
    assert stored(job).progress.eta_seconds is None
    report(job, 0, 0)
    assert stored(job).progress.eta_seconds is None
    report(job, 0, 200, 20)
    assert stored(job).progress.eta_seconds == 80
    later = 36_000
    assert jobs.reopen_job(job.id, 1, NOW)
    assert jobs.start_job(job.id, 2, NOW + timedelta(seconds=later))
    report(job, 0, 10, later, attempt=2)
    assert (stored(job).progress.percent, stored(job).progress.eta_seconds) == (19, None)
    report(job, 1, 200, later + 40, attempt=2)
    assert stored(job).progress.eta_seconds == 120


def test_segments_that_report_at_once_do_not_undo_each_other() -> None:
    job = running()

    def render(segment: int) -> None:
        for frames in range(0, 101, 5):
            assert report(job, segment, frames)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(render, range(10)))
    assert (stored(job).progress.percent, stored(job).progress.stage) == (95, "rendering, 1000 of 1000 frames")


def test_a_preview_stays_until_there_is_another() -> None:
    job = running()
    for given, shown in [(None, None), ("a.jpg", "a.jpg"), (None, "a.jpg"), ("b.jpg", "b.jpg")]:
        report(job, 0, 1, preview_key=given)
        assert stored(job).progress.preview_key == shown


@pytest.mark.parametrize("change", [{"status": "CANCELLED"}, {"status": "QUEUED"}, {"attempt": 2}])
def test_who_has_lost_the_job_reports_nothing(change: dict[str, Any]) -> None:
    job = running(**change)
    assert not report(job, 0, 10)
    assert not repository.record_film(job.id, 1, {"film_key": "film.mp4"})
    assert repository.find_film(job.id) is None
    assert stored(job).progress.percent == 0


SHOT = {"image_key": "users/a/b", "duration_frames": 24}


def keep_project(
    shots: Sequence[Any] = (SHOT,), output: Mapping[str, str] | None = None, size: str = "1080p"
) -> StoredProject:
    film = film_fields(Project.model_validate({"shots": shots, "output": output or {}, "size": size}))
    project = StoredProject(
        id=new_id("prj"), user_id="usr_1", name="Fox", version=1, **film, created_at=NOW, updated_at=NOW
    )
    assert projects.insert_project(project, 10)
    return project


def test_what_an_execution_lacks_fails_its_job_and_is_named(configure: Configure) -> None:
    project = keep_project()
    with pytest.raises(InvalidFieldError, match=r"shots\.0\.image_key.*users/a/b"):
        export.plan("by-hand", ARN + "by-hand", {"project_id": project.id})
    job = jobs.find_job("by-hand")
    assert job
    assert (job.status, job.user_id, job.error and job.error.code) == ("FAILED", "usr_1", "MEDIA_INVALID")
    with pytest.raises(executions.JobOverError, match="is FAILED"):
        export.plan("by-hand", ARN + "by-hand", {"project_id": project.id})


def test_a_containers_disk_is_paid_for(configure: Configure) -> None:
    plan = export._order("usr_1", ExportVideoRequest(project_id=keep_project().id))[1].plan
    cost = export._estimate(plan).cost_usd
    configure(EXPORT_DISK_GB="20")
    hours = (2 * 60 + plan.cost_seconds / 2) / 3600  # one segment, and joining it
    assert cost - export._estimate(plan).cost_usd == pytest.approx(hours * 180 * 0.000111, abs=1e-4)
    assert cost > export._estimate(plan).cost_usd


def test_a_deleted_project_fails_the_job(database: Database[Any]) -> None:
    project = keep_project()
    order = export._order("usr_1", ExportVideoRequest(project_id=project.id))[1]
    job = running(payload=order.model_dump(mode="json"))
    assert export.load(job)[1] == order
    projects.delete_project(project.id, "usr_1")
    with pytest.raises(NotFoundError, match=f"{project.id} was deleted"):
        export.load(job)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (EndpointConnectionError(endpoint_url="https://s3.test"), ("UNAVAILABLE", 503, "AWS does not answer")),
        (ServerSelectionTimeoutError("no primary"), ("UNAVAILABLE", 503, "MongoDB does not answer")),
        (UnavailableError("not configured", code="NOT_CONFIGURED"), ("NOT_CONFIGURED", 503, "not configured")),
        (ZeroDivisionError("planted"), ("INTERNAL_ERROR", 500, "something went wrong on our side")),
    ],
)
def test_a_container_says_what_is_down(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, told: tuple[str, int, str]
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(container, "check_shots", fail)  # the first that asks for objects and presets
    project = keep_project()
    job = running(payload=export._order("usr_1", ExportVideoRequest(project_id=project.id))[1].model_dump(mode="json"))
    for name, value in {"JOB_ID": job.id, "SEGMENT": "0"}.items():
        monkeypatch.setenv(name, value)
    assert container.main() == AGAIN
    assert stored(job).status == "PROCESSING", "the next container may do it"
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "3")
    assert container.main() == FINAL
    error = stored(job).error
    assert error
    assert (error.code, error.status, error.message) == (*told[:2], f"{told[2]} (attempt 3 of 3)")


def test_an_execution_takes_no_job_of_another() -> None:
    for job in (running(execution_arn=ARN + "another"), running(task_type="adjust", execution_arn=None)):
        with pytest.raises(InvalidFieldError, match="not this execution's"):
            export.plan(job.id, ARN + job.id, {})
        assert stored(job) == job


@pytest.mark.parametrize("name", ["..", "a b", "-", "ä", "a/b", "x" * 81])
def test_a_name_that_cannot_be_a_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidFieldError, match="letters, digits"):
        export.plan(name, ARN + name, {"project_id": "prj_1"})


def test_a_film_of_too_many_frames_is_refused(configure: Configure) -> None:
    configure(EXPORT_FRAMES_MAX="23")
    project = keep_project()
    with pytest.raises(InvalidFieldError, match="23 frames; this one has 24"):
        export._order("usr_1", ExportVideoRequest(project_id=project.id))


def test_a_film_that_would_take_too_long_is_refused(configure: Configure) -> None:
    project = keep_project([{"image_key": "users/a/b", "duration_frames": 200_000}], {"codec": "hevc"})
    order = ExportVideoRequest(project_id=project.id)
    assert len(export._order("usr_1", order)[1].plan.segments) == 69
    configure(EXPORT_CONCURRENCY="1")
    estimate = export._estimate(export._order("usr_1", order)[1].plan).seconds
    configure(EXPORT_CONCURRENCY="1", EXPORT_SECONDS_MAX="20000")
    with pytest.raises(
        InvalidFieldError, match=rf"may take 20,000 s; .* at {estimate:,.0f} s: take a smaller"
    ) as error:
        export._order("usr_1", order)
    assert (error.value.status, error.value.code) == (422, "FILM_TOO_LONG")


@pytest.mark.parametrize("seconds", ["0.001", "600"])
def test_what_is_allowed_fits_into_an_execution(configure: Configure, seconds: str) -> None:
    """Of 25,000 events and a day, whatever a segment is to cost; what is retried and redriven has its share."""
    project = keep_project([{"image_key": "users/a/b", "duration_frames": 216_000}], {"codec": "hevc"}, "2160p")
    configure(EXPORT_SEGMENT_SECONDS=seconds)
    plan = export._order("usr_1", ExportVideoRequest(project_id=project.id))[1].plan
    machine = yaml_parse((ROOT / "statemachines/minimatics_export/definition.asl.yaml").read_text())
    assert export._estimate(plan).seconds <= machine["TimeoutSeconds"] / 2
    assert len(plan.segments) * 8 <= 25_000 / 3
    # On two vCPUs; twice the estimate still ends in time.
    assert max(segment.cost_seconds for segment in plan.segments) <= TASKS["minimatics_export"].timeout_seconds


@pytest.mark.parametrize("film", [None, {"film_key": "users/usr_1/jobs/job_1/film.mp4"}])
def test_an_export_without_a_film_is_not_completed(
    monkeypatch: pytest.MonkeyPatch, film: dict[str, str] | None
) -> None:
    """None was recorded, or its object has expired since: days may be between the container and a redrive."""
    monkeypatch.setattr(storage, "get_size", lambda _: None)
    job = running()
    if film:
        assert repository.record_film(job.id, 1, film)
    with pytest.raises(GoneError):
        export.complete(job.id)
    assert stored(job).status == "PROCESSING"


def test_a_job_that_is_complete_already_is_no_failure_of_its_execution() -> None:
    """MongoDB may have taken the completion and its answer be lost: asked again, it finds no job to complete."""
    job = running()
    executions.complete(job, {"film_key": "one"})
    executions.complete(job, {"film_key": "two"})
    assert (stored(job).status, stored(job).result) == ("COMPLETED", {"film_key": "one"})


def test_a_cancelled_job_is_not_completed() -> None:
    job = running()
    assert jobs.cancel_job(job.id, job.user_id, NOW)
    with pytest.raises(executions.JobOverError, match="is CANCELLED"):
        executions.complete(job, {"film_key": "one"})
    assert (stored(job).status, stored(job).result) == ("CANCELLED", None)
