"""The worker on jobs of a task of its own, as CONTRIBUTING says that one is added."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import EndpointConnectionError
from pydantic import BaseModel
from pymongo.errors import NetworkTimeout

from studio import mongo
from studio.caller import Caller
from studio.compute_tasks import dispatch, recovery, repository, service, worker
from studio.compute_tasks.models import Job, TaskOptions
from studio.compute_tasks.registry import TASKS, Reporter, Task
from studio.errors import InvalidFieldError, NotFoundError

CALLER = Caller(user_id="usr_1", key_id="key_1", scopes=frozenset({"grade"}))


class Order(BaseModel):
    """Request of the test's own task."""

    what: str
    seconds: float = 0


class Receipt(BaseModel):
    """Its answer."""

    by: str
    what: str


enough = threading.Event()  # ends what cooks


class Leftovers:
    """Thrown away more slowly than a task may take: Python drops the error that a signal raises meanwhile."""

    def __del__(self) -> None:
        time.sleep(2)


def serve(caller: Caller, request: Order, report: Reporter) -> Receipt:
    match request.what:
        case "refuse":
            raise NotFoundError("there is none", code="NO_SUCH_DISH")
        case "crash":
            raise ZeroDivisionError
        case "outage":
            raise EndpointConnectionError(endpoint_url="https://s3.test")
        case "leftovers":
            Leftovers()
    deadline = time.monotonic() + request.seconds
    while (left := deadline - time.monotonic()) > 0 and not enough.wait(0.01):
        report(100 * (1 - left / request.seconds), "cooking")
    return Receipt(by=caller.user_id, what=request.what)


@pytest.fixture(autouse=True)
def task(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(HEARTBEAT_SECONDS="0.05")
    here = __name__
    entry = Task(request=f"{here}:Order", function=f"{here}:serve", timeout_seconds=120, attempts=2)
    monkeypatch.setitem(TASKS, "serve", entry)
    enough.clear()
    monkeypatch.setitem(TASKS, "closed", Task(request=f"{here}:Order", function=f"{here}:serve", enabled=False))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "serve", replace(TASKS["serve"], timeout_seconds=1.5))


def submit(what: str, seconds: float = 0) -> Job:
    return service.submit(CALLER, "serve", Order(what=what, seconds=seconds), TaskOptions())


def stored(job: Job) -> Job:
    found = repository.find_job(job.id)
    assert found
    return found


def test_a_job_is_run_once_and_its_answer_kept() -> None:
    job = submit("soup")
    assert stored(job).status == "QUEUED"
    assert worker.run_job(job.id, 1) == "COMPLETED"
    assert service.get_result(CALLER, job.id) == {"by": "usr_1", "what": "soup"}
    assert worker.run_job(job.id, 1) is None, "a second delivery does nothing"


def test_a_disabled_task_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="disabled"):
        service.submit(CALLER, "closed", Order(what="soup"), TaskOptions())


def test_a_refusal_is_final_and_named() -> None:
    job = submit("refuse")
    assert worker.run_job(job.id, 1) == "FAILED"
    error = stored(job).error
    assert error
    assert (error.code, error.message, error.status) == ("NO_SUCH_DISH", "there is none", 404)


def test_a_crash_gets_another_attempt_and_then_says_so() -> None:
    job = submit("crash")
    assert worker.run_job(job.id, 1) == "QUEUED"
    assert stored(job).attempt == 2
    assert worker.run_job(job.id, 1) is None, "the late worker of the first attempt has nothing to do"
    assert worker.run_job(job.id, 2) == "FAILED"
    error = stored(job).error
    assert error
    assert error.code == "INTERNAL_ERROR"
    assert "attempt 2 of 2" in error.message
    assert "ZeroDivision" not in error.message


def test_attempts_are_not_used_up_while_the_store_is_away(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(STALE_QUEUED_SECONDS="0.01")
    monkeypatch.setitem(TASKS, "serve", replace(TASKS["serve"], attempts=3))
    started: list[int] = []
    job = submit("outage")
    monkeypatch.setattr(dispatch, "_invoke", lambda job, *_, **__: started.append(job.attempt))
    assert worker.run_job(job.id, 1) == "QUEUED"
    assert started == [2], "it may have been a moment"
    assert worker.run_job(job.id, 2) == "QUEUED"
    assert started == [2], "the last attempt has time"
    time.sleep(0.05)
    recovery.clean_up()
    assert started == [2, 3]
    assert worker.run_job(job.id, 3) == "FAILED"
    error = stored(job).error
    assert error
    assert (error.code, error.status) == ("UNAVAILABLE", 503)
    assert error.message == "AWS does not answer (attempt 3 of 3)"


def test_progress_and_heartbeat_are_written_while_it_runs() -> None:
    job = submit("stew", seconds=60)
    seen: list[Job] = []

    def watch() -> None:
        while not seen or seen[-1].status in ("QUEUED", "PROCESSING"):
            seen.append(stored(job))
            if len({found.progress.percent for found in seen}) > 5:
                enough.set()
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert worker.run_job(job.id, 1) == "COMPLETED"
    watcher.join()
    running = [found.progress for found in seen if found.status == "PROCESSING" and found.progress.percent]
    assert len({progress.percent for progress in running}) > 3
    assert all(one.percent <= other.percent for one, other in pairwise(running))
    assert running[-1].stage == "cooking"
    assert running[-1].eta_seconds is not None
    assert seen[-1].progress.percent == 100


def test_heartbeats_go_on_where_one_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a secret that could not be read after its rotation, say."""
    touch, failures = repository.touch_job, [GetParameterError("throttled"), ZeroDivisionError(), NetworkTimeout()]

    def fail_at_first(*arguments: Any) -> bool:
        if failures:
            raise failures.pop()
        enough.set()
        return touch(*arguments)

    monkeypatch.setattr(repository, "touch_job", fail_at_first)
    job = submit("soup", seconds=60)
    assert worker.run_job(job.id, 1) == "COMPLETED"
    found = stored(job)
    assert failures == []
    assert found.heartbeat_at
    assert found.started_at
    assert found.heartbeat_at > found.started_at


def cancel_once_it_runs(job: Job) -> None:
    while stored(job).status == "QUEUED":
        time.sleep(0.05)
    repository.cancel_job(job.id, "usr_1", job.created_at)


def test_a_cancelled_job_is_interrupted() -> None:
    job = submit("stew", seconds=60)
    started = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        cancelled = threads.submit(cancel_once_it_runs, job)
        assert worker.run_job(job.id, 1) is None
        cancelled.result()
    assert time.monotonic() - started < 30
    assert stored(job).status == "CANCELLED"


@pytest.mark.usefixtures("short")
def test_a_task_that_takes_too_long_is_ended_and_not_repeated() -> None:
    job = submit("stew", seconds=60)
    started = time.monotonic()
    assert worker.run_job(job.id, 1) == "FAILED"
    assert time.monotonic() - started < 30
    error = stored(job).error
    assert error
    assert error.code == "TASK_TIMED_OUT"


@pytest.mark.usefixtures("short")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_task_whose_interruption_was_dropped_is_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_AGAIN_SECONDS", 0.5)
    late, cancelled = submit("leftovers", seconds=60), submit("leftovers", seconds=60)
    assert worker.run_job(late.id, 1) == "FAILED"
    error = stored(late).error
    assert error
    assert error.code == "TASK_TIMED_OUT"
    monkeypatch.setitem(TASKS, "serve", replace(TASKS["serve"], timeout_seconds=120))
    started = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        canceller = threads.submit(cancel_once_it_runs, cancelled)
        assert worker.run_job(cancelled.id, 1) is None
        canceller.result()
    assert time.monotonic() - started < 30


def test_an_alarm_that_comes_as_the_task_ends_is_of_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    set_timer = signal.setitimer

    def come_late(which: int, seconds: float, interval: float = 0) -> None:
        if not seconds:
            signal.raise_signal(signal.SIGALRM)
        set_timer(which, seconds, interval)

    monkeypatch.setattr(signal, "setitimer", come_late)
    assert worker.run_job(submit("soup").id, 1) == "COMPLETED"
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0), "the next one would end the process"


@pytest.fixture
def no_alarm_is_left() -> Iterator[None]:
    yield
    left = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert left == (0, 0), "the next one would end the process"
    assert not [thread for thread in threading.enumerate() if thread.name == "pulse"], "the job would seem to go on"


@pytest.mark.usefixtures("no_alarm_is_left")
def test_both_interruptions_that_come_as_the_task_ends_are_of_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    late, set_event = [signal.SIGUSR1, signal.SIGALRM], threading.Event.set

    def come_late(beat: threading.Event) -> None:
        if late and threading.get_ident() == threading.main_thread().ident:
            signal.raise_signal(late.pop())
        set_event(beat)

    with worker.pulse(lambda: True, 60):
        monkeypatch.setattr(threading.Event, "set", come_late)
    assert len(late) < 2


@pytest.mark.usefixtures("no_alarm_is_left")
def test_an_alarm_that_comes_before_the_task_begins_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def come_early(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "pulse":
            signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr(threading.Thread, "start", come_early)
    with pytest.raises(worker.TimedOutError), worker.pulse(lambda: True, 60):
        pass


def test_signals_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGALRM)]
    worker.run_job(submit("soup").id, 1)
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_the_clean_up_goes_on_where_step_functions_does_not_answer(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(
        STALE_QUEUED_SECONDS="0.01",
        STALE_PROCESSING_SECONDS="0.01",
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_MAX_ATTEMPTS="1",
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    dispatch._steps.cache_clear()
    arn = "arn:aws:states:us-east-1:123456789012:execution:m:j"
    of_a_machine = submit("soup").model_copy(update={"id": "job_" + "0" * 24, "execution_arn": arn})
    repository.insert_job(of_a_machine)
    behind = submit("soup").model_copy(update={"id": "job_" + "1" * 24})
    repository.insert_job(behind)
    repository.start_job(behind.id, 1, behind.created_at)
    time.sleep(0.05)
    recovery.clean_up()
    dispatch._steps.cache_clear()
    assert (stored(behind).status, stored(behind).attempt) == ("QUEUED", 2)
    assert stored(of_a_machine).attempt == 1, "nobody knows whether its execution runs"


def test_the_clean_up_starts_a_waiting_job_again_and_replaces_a_silent_worker(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(STALE_QUEUED_SECONDS="0.01", STALE_PROCESSING_SECONDS="0.01")
    started: list[tuple[str, int]] = []
    waiting, silent = submit("soup"), submit("soup")
    monkeypatch.setattr(dispatch, "_invoke", lambda job, *_, **__: started.append((job.id, job.attempt)))
    repository.start_job(silent.id, 1, silent.created_at)
    time.sleep(0.05)
    assert recovery.clean_up() == 2
    assert sorted(started) == sorted([(waiting.id, 1), (silent.id, 2)])
    assert [(stored(job).status, stored(job).attempt) for job in (waiting, silent)] == [("QUEUED", 1), ("QUEUED", 2)]


def test_the_clean_up_leaves_a_job_whose_worker_comes_meanwhile(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(STALE_PROCESSING_SECONDS="0.01")
    job, found = submit("soup"), repository.find_stale
    repository.start_job(job.id, 1, job.created_at)

    def found_late(*limits: Any) -> list[Job]:
        stale = found(*limits)
        assert repository.touch_job(job.id, 1, {}, datetime.now(UTC))
        return stale

    monkeypatch.setattr(repository, "find_stale", found_late)
    time.sleep(0.05)
    assert recovery.clean_up() == 1
    assert (stored(job).status, stored(job).attempt) == ("PROCESSING", 1)


def test_the_clean_up_asks_step_functions_once_where_it_does_not_answer(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(STALE_QUEUED_SECONDS="0.01")
    asked: list[str] = []

    def find_execution(job: Job) -> None:
        asked.append(job.id)
        raise EndpointConnectionError(endpoint_url="https://states.test")

    monkeypatch.setattr(dispatch, "find_execution", find_execution)
    of_machines = [submit("soup") for _ in range(3)]
    mongo.get_collection("computeTasks").update_many({}, {"$set": {"executionArn": "arn:of:an:execution"}})
    time.sleep(0.05)
    assert recovery.clean_up() == 3
    assert len(asked) == 1
    assert [stored(job).status for job in of_machines] == ["QUEUED"] * 3


def test_one_whose_time_is_over_is_not_waited_for(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(dispatch, "_invoke", lambda _, kind, **__: calls.append(kind))
    waiting = TaskOptions(use_container=True, wait_for_result=True)
    service.submit(CALLER, "serve", Order(what="soup"), waiting, deadline=time.monotonic() - 1)
    assert calls == ["Event"]


def test_one_that_is_waited_for_is_so_until_the_deadline(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes the call and says nothing is a worker that is still at it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        configure(TASK_WORKER_FUNCTION="run-task", AWS_ENDPOINT_URL=endpoint, AWS_DEFAULT_REGION="us-east-1")
        configure(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing")
        dispatch._client.cache_clear()
        waiting = TaskOptions(use_container=True, wait_for_result=True, wait_timeout_seconds=20)
        started = time.monotonic()
        job = service.submit(CALLER, "serve", Order(what="soup"), waiting, deadline=started + 2)
        assert job.status == "QUEUED"
        assert 0.9 < time.monotonic() - started < 15
    dispatch._client.cache_clear()


def test_running_executions_do_not_keep_the_clean_up_from_other_jobs(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(STALE_QUEUED_SECONDS="0.01", STALE_PROCESSING_SECONDS="0.01")
    monkeypatch.setattr(recovery, "_CLEANED_AT_ONCE", 3)
    monkeypatch.setattr(dispatch, "find_execution", lambda _: {"status": "RUNNING", "redriveCount": 0})
    of_machines = [submit("soup") for _ in range(3)]
    mongo.get_collection("computeTasks").update_many({}, {"$set": {"executionArn": "arn:of:an:execution"}})
    lost = submit("soup")
    repository.start_job(lost.id, 1, lost.created_at)
    time.sleep(0.05)
    recovery.clean_up()
    recovery.clean_up()
    assert stored(lost).attempt == 2
    assert [stored(job).attempt for job in of_machines] == [1, 1, 1]


def test_the_clean_up_ends_what_never_started(configure: Any) -> None:
    configure(STALE_QUEUED_SECONDS="0.01", NEVER_STARTED_SECONDS="0.02")
    job = submit("soup")
    time.sleep(0.05)
    assert recovery.clean_up() == 1
    error = stored(job).error
    assert error
    assert error.code == "NEVER_STARTED"
    assert "never have started" in error.message
    assert recovery.clean_up() == 0


def test_a_crash_that_is_told_late_takes_nothing_from_the_next_attempt() -> None:
    job = submit("soup")
    repository.start_job(job.id, 1, job.created_at)
    assert recovery.reconcile(job.id, 1) == "QUEUED"
    repository.start_job(job.id, 2, job.created_at)
    assert recovery.reconcile(job.id, 1) is None
    assert (stored(job).status, stored(job).attempt) == ("PROCESSING", 2)


@pytest.mark.parametrize(
    ("execution", "status", "code", "is_fault"),
    [
        ({"status": "ABORTED", "error": "Console", "cause": "by hand"}, "CANCELLED", "ABORTED", False),
        ({"status": "FAILED", "error": "States.TaskFailed"}, "FAILED", "EXECUTION_FAILED", True),
        ({"status": "FAILED", "error": "States.Timeout"}, "FAILED", "EXECUTION_TIMED_OUT", True),  # of a state
        ({"status": "TIMED_OUT"}, "FAILED", "EXECUTION_TIMED_OUT", True),
        ({"status": "SUCCEEDED"}, "FAILED", "NO_RESULT", True),
    ],
)
def test_what_ends_an_execution_ends_its_job_and_is_ours_unless_somebody_stopped_it(
    execution: dict[str, Any], status: str, code: str, is_fault: bool
) -> None:
    job = submit("soup")
    assert recovery.reconcile_execution(job.id, execution) == status
    error = stored(job).error
    assert error
    assert (error.code, error.status >= 500) == (code, is_fault)


def test_a_worker_that_crashes_while_it_is_waited_for_is_replaced_at_once(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoked: list[tuple[str, int]] = []

    class Lambda:
        def invoke(self, *, InvocationType: str, Payload: str, **_: Any) -> dict[str, str]:  # noqa: N803 as AWS has it
            invoked.append((InvocationType, json.loads(Payload)["attempt"]))
            return {"FunctionError": "Unhandled"}

    configure(TASK_WORKER_FUNCTION="run-task")
    monkeypatch.setattr(dispatch, "_client", lambda _: Lambda())
    waiting = TaskOptions(use_container=True, wait_for_result=True)
    job = service.submit(CALLER, "serve", Order(what="soup"), waiting)
    assert (job.status, job.attempt) == ("QUEUED", 2)
    assert invoked == [("RequestResponse", 1), ("Event", 2)]
