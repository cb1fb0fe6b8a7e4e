"""What a container does with its job, and what it tells Batch."""

import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from studio import mongo
from studio.caller import Caller
from studio.compute_tasks import container, dispatch, executions, recovery, repository, service
from studio.compute_tasks.models import Job, JobError, TaskOptions
from studio.compute_tasks.registry import TASKS, Reporter, Task
from studio.errors import InvalidFieldError, NotFoundError, UnavailableError

CALLER = Caller(user_id="usr_1", key_id="key_1", scopes=frozenset({"grade"}))
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:run-task"


class Order(BaseModel):
    """Request of the test's own task."""

    what: str


def serve(_: Caller, request: Order, __: Reporter) -> Order:
    match request.what:
        case "refuse":
            raise NotFoundError("there is none", code="NO_SUCH_DISH")
        case "unavailable":
            raise UnavailableError("the stove is cold")
        case "crash":
            raise ZeroDivisionError
        case "stop":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        case "cancel":
            for job in repository.list_jobs(CALLER.user_id, None, 1, {}):
                service.cancel(CALLER, job.id)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        case "slow":
            time.sleep(20)
    return request


@pytest.fixture
def execution(configure: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what Step Functions says of every execution: tests/api has the real one."""
    configure(HEARTBEAT_SECONDS="0.05", RUN_TASK_STATE_MACHINE=MACHINE)
    targets: Any = ("LAMBDA", "BATCH")
    entry = Task(request=f"{__name__}:Order", function=f"{__name__}:serve", targets=targets, timeout_seconds=1.5)
    monkeypatch.setitem(TASKS, "serve", entry)
    monkeypatch.setitem(TASKS, "serve_here", Task(request=f"{__name__}:Order", function=f"{__name__}:serve"))
    told = {"status": "RUNNING", "redriveCount": 0, "error": None, "cause": None}
    monkeypatch.setattr(dispatch, "find_execution", lambda _: told)
    monkeypatch.setattr(dispatch, "_start_execution", lambda *_: None)
    monkeypatch.setattr(dispatch, "stop", lambda _: None)
    return told


def submit(what: str) -> Job:
    return service.submit(CALLER, "serve", Order(what=what), TaskOptions(use_container=True, target="BATCH"))


def stored(job: Job) -> Job:
    found = repository.find_job(job.id)
    assert found
    return found


@pytest.fixture
def run(execution: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs a container for a job, and returns its exit code."""

    def call(job: Job) -> int:
        monkeypatch.setenv("JOB_ID", job.id)
        before = signal.getsignal(signal.SIGTERM)
        code = container.main()
        assert signal.getsignal(signal.SIGTERM) == before
        return code

    return call


@pytest.mark.parametrize(
    ("what", "code", "status", "attempt", "error"),
    [
        ("soup", 0, "COMPLETED", 1, None),
        ("refuse", 64, "FAILED", 1, "NO_SUCH_DISH"),
        ("slow", 64, "FAILED", 1, "TASK_TIMED_OUT"),
        ("unavailable", 1, "QUEUED", 2, None),
        ("crash", 1, "QUEUED", 2, None),
        ("stop", 143, "QUEUED", 2, None),
        ("cancel", 143, "CANCELLED", 1, None),
    ],
)
def test_the_exit_code_is_what_became_of_the_job(
    run: Any, configure: Any, what: str, code: int, status: str, attempt: int, error: str | None
) -> None:
    configure(HEARTBEAT_SECONDS="60")  # that it was cancelled, a heartbeat might tell before the signal does
    job, started = submit(what), time.monotonic()
    assert run(job) == code
    assert time.monotonic() - started < 15
    found = stored(job)
    assert (found.status, found.attempt, found.error and found.error.code) == (status, attempt, error)


def test_the_last_attempt_says_so(run: Any) -> None:
    job = submit("crash")
    assert [run(job), run(job), run(job)] == [1, 1, 64]
    found = stored(job)
    assert (found.status, found.attempt) == ("FAILED", 3)
    assert found.error
    assert "attempt 3 of 3" in found.error.message


def test_what_is_down_is_told_as_the_request_would_have_been(run: Any) -> None:
    job = submit("unavailable")
    assert [run(job), run(job), run(job)] == [1, 1, 64]
    error = stored(job).error
    assert error
    assert (error.code, error.status, error.message) == ("UNAVAILABLE", 503, "the stove is cold (attempt 3 of 3)")


def test_an_attempt_whose_container_is_gone_is_followed_by_another(run: Any) -> None:
    job = submit("soup")
    repository.start_job(job.id, 1, job.created_at)
    assert run(job) == 0
    assert (stored(job).status, stored(job).attempt) == ("COMPLETED", 2)
    assert repository.complete_job(job.id, 1, {}, job.created_at) is None, "the late one is refused"


@pytest.mark.parametrize(("status", "code"), [("COMPLETED", 0), ("FAILED", 64), ("CANCELLED", 64)])
def test_a_job_that_is_over_is_left_alone(run: Any, status: Any, code: int) -> None:
    job = submit("soup").model_copy(update={"id": f"job_{status}", "status": status})
    repository.insert_job(job)
    assert run(job) == code
    assert (stored(job).status, stored(job).attempt) == (status, 1)


def test_there_is_no_such_job(run: Any) -> None:
    assert run(submit("soup").model_copy(update={"id": "job_" + "0" * 24})) == 64


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "PROCESSING", "QUEUED"])
def test_a_redrive_is_followed_by_the_container(run: Any, execution: dict[str, Any], status: Any) -> None:
    """Also where nobody has told the job that its execution had ended."""
    job = submit("soup").model_copy(update={"id": f"job_{status}", "status": status, "attempt": 3})
    repository.insert_job(job)
    execution["redriveCount"] = 1
    assert run(job) == 0
    found = stored(job)
    assert (found.status, found.attempt, found.redrives, found.spent_attempts) == ("COMPLETED", 4, 1, 3)


@pytest.mark.parametrize("failure", [ClientError({"Error": {"Code": "ThrottlingException"}}, "X"), BotoCoreError()])
def test_a_job_goes_on_where_step_functions_does_not_answer(
    run: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def refuse(_: Job) -> None:
        raise failure

    job, over = submit("soup"), submit("soup")
    repository.fail_job(over.id, 1, JobError(code="E", message="no"), over.created_at)
    monkeypatch.setattr(dispatch, "find_execution", refuse)
    assert executions.prepare_container(job.id)["vcpu"] == "1"
    assert run(job) == 0
    with pytest.raises(type(failure)):  # of this one nobody knows whether it was redriven
        executions.find_live(over.id)


def test_a_redriven_job_has_as_many_attempts_again(run: Any, execution: dict[str, Any]) -> None:
    job = submit("crash")
    for redrives in (0, 1):
        execution["redriveCount"] = redrives
        assert [run(job), run(job), run(job)] == [1, 1, 64]
    assert stored(job).attempt == 6


def test_an_end_that_is_told_late_does_not_end_what_was_redriven(run: Any, execution: dict[str, Any]) -> None:
    job = submit("refuse")
    run(job)
    assert recovery.reconcile_execution(job.id, {"status": "RUNNING", "redriveCount": 1}) == "QUEUED"
    assert recovery.reconcile_execution(job.id, {"status": "RUNNING", "redriveCount": 1}) is None
    assert recovery.reconcile_execution(job.id, {"status": "FAILED", "redriveCount": 0}) is None
    assert recovery.reconcile_execution(job.id, {"status": "ABORTED", "redriveCount": 0}) is None
    assert stored(job).status == "QUEUED"
    assert recovery.reconcile_execution(job.id, {"status": "FAILED", "redriveCount": 1}) == "FAILED"


def test_a_completed_job_stays_so_whatever_is_told(run: Any) -> None:
    job = submit("soup")
    run(job)
    for status in ("RUNNING", "FAILED", "ABORTED", "TIMED_OUT"):
        assert recovery.reconcile_execution(job.id, {"status": status, "redriveCount": 5}) is None
    assert stored(job).status == "COMPLETED"


@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        ("States.Timeout", None, "it waited for too long; its container may never have started"),
        (
            "JobOverError",
            '{"errorMessage": "there is no job", "stackTrace": ["/var"]}',
            "something went wrong on our side",
        ),
        (
            "States.TaskFailed",
            '{"StatusReason": "Essential container in task exited",'
            ' "Container": {"ExitCode": 137, "Reason": "OutOfMemoryError: Container killed due to memory usage"}}',
            "Essential container in task exited, OutOfMemoryError: Container killed due to memory usage, exit code 137",
        ),
        ("States.TaskFailed", '{"Container": {"Env', "something went wrong on our side"),
        (None, None, "something went wrong on our side"),
    ],
)
def test_a_failure_is_told_without_what_is_for_programs(
    run: Any, error: str | None, cause: str | None, message: str
) -> None:
    job = submit("soup")
    recovery.reconcile_execution(job.id, {"status": "FAILED", "redriveCount": 0, "error": error, "cause": cause})
    found = stored(job)
    assert found.error
    assert found.error.message == message


def test_a_killed_container_is_an_attempt_of_the_task(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "serve", replace(TASKS["serve"], attempts=1))
    job = submit("soup")
    assert repository.start_job(job.id, 1, datetime.now(UTC)), "and its container is killed"
    assert run(job) == 64
    found = stored(job)
    assert found.error
    assert (found.status, found.attempt, found.error.code) == ("FAILED", 1, "WORKER_LOST")


def test_a_container_whose_job_another_one_has_is_not_started_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit("soup")

    def be_overtaken(*_: Any) -> Any:
        queued = repository.requeue_job(job.id, 1, datetime.now(UTC))
        assert queued
        assert repository.start_job(job.id, 2, datetime.now(UTC))
        time.sleep(5)

    monkeypatch.setattr(Task, "run", be_overtaken)
    assert run(job) == 64
    assert (stored(job).status, stored(job).attempt) == ("PROCESSING", 2)


def test_a_target_that_is_not_the_tasks_is_refused_with_those_that_are(run: Any) -> None:
    with pytest.raises(InvalidFieldError, match="serve_here runs as LAMBDA; got BATCH"):
        service.submit(CALLER, "serve_here", Order(what="soup"), TaskOptions(use_container=True, target="BATCH"))


def test_a_target_that_is_not_configured_is_named(run: Any, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(RUN_TASK_STATE_MACHINE="")
    with pytest.raises(UnavailableError, match="RUN_TASK_STATE_MACHINE"):
        submit("soup")
    assert service.submit(CALLER, "serve", Order(what="soup"), TaskOptions()).target == "LAMBDA"


def test_a_container_is_prepared_for_its_task(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit("soup")
    prepared = executions.prepare_container(job.id)
    assert prepared == {"vcpu": "1", "memory_mb": "2048", "attempt_seconds": 62, "timeout_seconds": 3600 + 3 * 362}
    repository.fail_job(job.id, 1, JobError(code="E", message="no"), job.created_at)
    with pytest.raises(executions.JobOverError, match="is FAILED"):
        executions.prepare_container(job.id)
    on_lambda = service.submit(CALLER, "serve", Order(what="soup"), TaskOptions())
    with pytest.raises(InvalidFieldError, match="runs as LAMBDA"):
        executions.prepare_container(on_lambda.id)


def test_being_stopped_without_a_database_is_no_reason_to_stay(
    run: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    """Batch waits for half a minute, and then kills."""
    job = submit("slow")

    def stop(*_: Any) -> None:
        configure(MONGODB_URI="mongodb://127.0.0.1:1/", MONGODB_TIMEOUT_MS="300", RUN_TASK_STATE_MACHINE=MACHINE)
        mongo.get_database.cache_clear()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    monkeypatch.setattr(Task, "run", stop)
    started = time.monotonic()
    assert run(job) == 143
    assert time.monotonic() - started < 15
