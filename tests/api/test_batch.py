"""Jobs as Batch containers, each in an execution of the state machine for any task."""

import base64
import io
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pymongo
import pytest
from PIL import Image

from local import batch
from local.stack import Stack
from studio.documents import new_id
from tests.api.test_compute_tasks import ADJUST, body, ended, slow
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_stepfunctions import SFNClient

MAX_STATE_BYTES = 32_768


class Machine:
    """The state machine for Batch jobs, and what runs in it."""

    def __init__(self, stack: Stack, user: Any) -> None:
        self.stack, self.user = stack, user
        self.steps: SFNClient = stack.client("stepfunctions")
        self.batch: BatchClient = stack.client("batch")
        self.arn = stack.functions["AdjustFunction"].environment["RUN_TASK_STATE_MACHINE"]

    def submit(self, request: dict[str, Any]) -> str:
        answer = self.user.http.post(ADJUST, json=request | {"target": "BATCH"})
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def status(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.user.http.get(f"/compute-tasks/{job_id}/status").raise_for_status().json()
        return job

    def submit_and_wait_for_its_container(self) -> tuple[str, int]:
        job_id = self.submit(slow())
        return job_id, self.wait_for_container(job_id)

    def wait_for_container(self, job_id: str, attempt: int = 1) -> int:
        """Return the process id of a container that has begun an attempt."""

        def running() -> int | None:
            job = self.status(job_id)
            has_begun = (job["status"], job["attempt"]) == ("PROCESSING", attempt)
            return self.stack.pids["containers"].get(job_id) if has_begun else None

        pid: int = until(running)
        return pid

    def execution_arn(self, job_id: str) -> str:
        return f"{self.arn.replace(':stateMachine:', ':execution:')}:{job_id}"

    def execution(self, job_id: str) -> Any:
        return until(
            lambda: (
                (found := self.steps.describe_execution(executionArn=self.execution_arn(job_id)))["status"] != "RUNNING"
                and found
            )
        )

    def exit_codes(self, job_id: str) -> list[int]:
        """Return those of all containers of the last Batch job."""
        [submitted] = self.events(job_id, "TaskSubmitted")[-1:]
        batch_id = json.loads(submitted["taskSubmittedEventDetails"]["output"])["JobId"]
        [job] = until(
            lambda: (
                (found := self.batch.describe_jobs(jobs=[batch_id])["jobs"])[0]["status"] in ("SUCCEEDED", "FAILED")
                and found
            )
        )
        return [attempt["container"]["exitCode"] for attempt in job["attempts"]]

    def events(self, job_id: str, kind: str = "") -> list[Any]:
        found = self.steps.get_execution_history(executionArn=self.execution_arn(job_id))["events"]
        return [event for event in found if event["type"].startswith(kind)]


@pytest.fixture
def machine(stack: Stack, user: Any) -> Machine:
    return Machine(stack, user)


@contextmanager
def without_room(stack: Stack) -> Iterator[None]:
    """Keep every place for a container taken."""
    over = threading.Event()
    for _ in range(batch.MAX_CONTAINERS):
        stack._batch.room.submit(over.wait)  # type: ignore[union-attr]
    try:
        yield
    finally:
        over.set()


@pytest.fixture
def all_busy(machine: Machine) -> Iterator[None]:
    with without_room(machine.stack):
        yield


def test_a_job_runs_in_a_container(machine: Machine, user: Any) -> None:
    job_id = machine.submit(body())
    job = ended(user, job_id)
    assert (job["status"], job["target"], job["attempt"], job["error"]) == ("COMPLETED", "BATCH", 1, None), job
    result = user.http.get(job["result_url"]).raise_for_status().json()
    pixels = np.asarray(Image.open(io.BytesIO(httpx.get(result["image_url"]).raise_for_status().content)))
    assert pixels.shape[2] == 3
    assert result["adjustments"]["exposure"] == -1
    execution = machine.execution(job_id)
    assert (execution["status"], execution["name"]) == ("SUCCEEDED", job_id)
    assert json.loads(execution["output"]).keys() == {"batch_job_id"}
    assert machine.exit_codes(job_id) == [0]
    # What a job works on, and what comes of it, is in MongoDB.
    for event in machine.events(job_id):
        assert len(json.dumps(event, default=str)) < MAX_STATE_BYTES
    assert "exposure" not in json.dumps(machine.events(job_id), default=str)


def test_one_that_is_waited_for_answers_as_if_run_at_once(user: Any) -> None:
    answer = user.http.post(ADJUST, json=body(target="BATCH", wait_for_result=True), timeout=40)
    assert (answer.status_code, answer.json()["adjustments"]["exposure"]) == (200, -1)


def test_one_that_takes_longer_than_the_wait_goes_on(user: Any) -> None:
    request = body(target="BATCH", wait_for_result=True, wait_timeout_seconds=0.1)
    answer = user.http.post(ADJUST, json=request, timeout=40)
    assert answer.status_code == 202
    assert ended(user, answer.json()["job_id"])["status"] == "COMPLETED"


def test_what_the_task_refuses_is_refused_once(machine: Machine, user: Any) -> None:
    job_id = machine.submit(body(image=base64.b64encode(b"no picture at all").decode()))
    job = ended(user, job_id)
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("FAILED", "UNSUPPORTED_FORMAT", 1)
    assert machine.execution(job_id)["error"] == "States.TaskFailed"
    assert machine.exit_codes(job_id) == [64]
    time.sleep(0.5)  # the event of the failed execution must change nothing
    assert machine.status(job_id)["error"]["code"] == "UNSUPPORTED_FORMAT"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, 137), (signal.SIGSEGV, 139), (signal.SIGTERM, 143)], ids=str
)
def test_a_lost_container_is_replaced(machine: Machine, user: Any, number: int, code: int) -> None:
    """It is killed, crashes, or is told to stop, as Spot does it."""
    job_id, pid = machine.submit_and_wait_for_its_container()
    os.kill(pid, number)
    job = ended(user, job_id)
    assert (job["status"], job["attempt"]) == ("COMPLETED", 2)
    assert machine.execution(job_id)["status"] == "SUCCEEDED"
    assert machine.exit_codes(job_id) == [code, 0]


def test_one_that_is_lost_again_and_again_fails(machine: Machine, user: Any) -> None:
    job_id, pid = machine.submit_and_wait_for_its_container()
    for attempt in (2, 3):
        os.kill(pid, signal.SIGKILL)
        pid = machine.wait_for_container(job_id, attempt)
    os.kill(pid, signal.SIGKILL)
    job = ended(user, job_id)
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("FAILED", "EXECUTION_FAILED", 3)
    assert job["error"]["message"] == "Essential container in task exited, exit code 137"
    assert machine.exit_codes(job_id) == [137, 137, 137]


def test_a_cancelled_job_has_no_container_within_seconds(machine: Machine, user: Any) -> None:
    job_id, pid = machine.submit_and_wait_for_its_container()
    started = time.monotonic()
    cancelled = user.http.post(f"/compute-tasks/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    until(lambda: not runs(pid))
    assert time.monotonic() - started < 20, "it is killed after 30 s"
    assert machine.execution(job_id)["status"] == "ABORTED"
    assert machine.exit_codes(job_id)[0] in (64, 143)
    job = machine.status(job_id)
    assert (job["status"], job["error"], job["attempt"]) == ("CANCELLED", None, 1)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_aborted_job_goes_on_where_it_is_redriven(machine: Machine, user: Any) -> None:
    job_id, pid = machine.submit_and_wait_for_its_container()
    arn = machine.execution_arn(job_id)
    machine.steps.stop_execution(executionArn=arn, error="Console", cause="by hand")
    until(lambda: machine.status(job_id)["status"] == "CANCELLED")
    until(lambda: not runs(pid))
    job = machine.status(job_id)
    assert (job["error"]["code"], job["error"]["message"]) == ("ABORTED", "Console: by hand")
    lost = job["attempt"]  # 2 where the container had given its attempt up before the abort was told

    machine.steps.redrive_execution(executionArn=arn)
    until(lambda: machine.status(job_id)["status"] != "CANCELLED")
    job = ended(user, job_id)
    assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", lost + 1, None)
    execution = machine.execution(job_id)
    assert (execution["status"], execution["redriveCount"]) == ("SUCCEEDED", 1)
    assert user.http.get(job["result_url"]).json()["adjustments"]["clarity"] == 40


def test_a_failed_job_fails_again_or_not_where_it_is_redriven(machine: Machine, user: Any, stack: Stack) -> None:
    key = f"users/{user.user_id}/uploads/upl_{'0' * 24}"
    request = {"image_key": key, "adjustments": {"exposure": -1}, "use_container": True}
    job_id = machine.submit(request)
    assert ended(user, job_id)["error"]["code"] == "OBJECT_NOT_FOUND"
    machine.execution(job_id)
    stack.client("s3").put_object(Bucket=stack.bucket_name, Key=key, Body=base64.b64decode(body()["image"]))
    machine.steps.redrive_execution(executionArn=machine.execution_arn(job_id))
    until(lambda: machine.status(job_id)["status"] != "FAILED")
    job = ended(user, job_id)
    assert (job["status"], job["attempt"]) == ("COMPLETED", 2)


@pytest.mark.usefixtures("all_busy")
def test_a_job_that_waits_for_a_container_is_cancelled(machine: Machine, user: Any) -> None:
    job_id = machine.submit(body())
    until(lambda: machine.events(job_id, "TaskSubmitted"))
    assert machine.status(job_id)["status"] == "QUEUED"
    user.http.post(f"/compute-tasks/{job_id}/cancel").raise_for_status()
    assert machine.execution(job_id)["status"] == "ABORTED"
    assert machine.exit_codes(job_id) == []


def test_an_execution_without_a_job_says_so(machine: Machine) -> None:
    job_id = new_id("job")
    machine.steps.start_execution(stateMachineArn=machine.arn, name=job_id)
    execution = machine.execution(job_id)
    assert (execution["status"], execution["error"]) == ("FAILED", "JobOverError")
    assert json.loads(execution["cause"])["errorMessage"] == f"there is no job {job_id}"
    assert machine.events(job_id, "TaskSubmitted") == machine.events(job_id, "LambdaFunctionSucceeded")


def test_an_execution_of_a_job_for_lambda_says_so(machine: Machine, user: Any) -> None:
    job_id = user.http.post(ADJUST, json=slow()).json()["job_id"]
    machine.steps.start_execution(stateMachineArn=machine.arn, name=job_id)
    execution = machine.execution(job_id)
    assert json.loads(execution["cause"])["errorMessage"] == f"the job {job_id} runs as LAMBDA"
    ended(user, job_id)


def test_a_target_that_a_task_has_not_is_refused(user: Any) -> None:
    answer = user.http.post(ADJUST, json=body(target="MOON"))
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "target")


def test_an_execution_that_never_came_about_is_started_by_the_clean_up(machine: Machine, user: Any) -> None:
    job_id = machine.submit(body())
    assert ended(user, job_id)["status"] == "COMPLETED"
    other = new_id("job")
    with pymongo.MongoClient[dict[str, Any]](machine.stack.mongodb_uri, tz_aware=True) as client:
        jobs = client["studio"]["computeTasks"]
        found = jobs.find_one({"_id": job_id})
        assert found
        values = {"_id": other, "executionArn": machine.execution_arn(other), "status": "QUEUED", "result": None}
        values |= {"queuedAt": found["createdAt"] - timedelta(minutes=10), "startedAt": None, "finishedAt": None}
        jobs.insert_one(found | values)
    machine.stack.client("lambda").invoke(FunctionName="CleanUpTasksFunction", Payload=b"{}")
    job = ended(user, other)
    assert (job["status"], job["attempt"]) == ("COMPLETED", 1)


def test_a_container_that_ends_well_without_a_result_fails_its_job(
    machine: Machine, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that swallows SIGTERM and exits with 0 is a success to Batch, and to Step Functions."""
    monkeypatch.setattr(batch, "entry_point", lambda _: ["true"])
    job_id = machine.submit(body())
    job = ended(user, job_id)
    assert machine.execution(job_id)["status"] == "SUCCEEDED"
    assert (job["status"], job["error"]["code"]) == ("FAILED", "NO_RESULT")
    assert job["error"]["message"] == "its execution succeeded, but left no result of the job"


@pytest.fixture
def redefine(machine: Machine) -> Iterator[Callable[[Callable[[dict[str, Any]], None]], None]]:
    """Change the state machine for new executions, for as long as the test runs."""
    original = machine.steps.describe_state_machine(stateMachineArn=machine.arn)["definition"]

    def change(by: Callable[[dict[str, Any]], None]) -> None:
        definition = json.loads(original)
        by(definition)
        machine.steps.update_state_machine(stateMachineArn=machine.arn, definition=json.dumps(definition))

    yield change
    machine.steps.update_state_machine(stateMachineArn=machine.arn, definition=original)


@pytest.mark.usefixtures("all_busy")
def test_a_job_that_no_container_comes_for_fails_in_time(machine: Machine, user: Any, redefine: Any) -> None:
    """The time-out of the state is what `PrepareContainer` says; here it is the least that there is."""

    def shorten(definition: dict[str, Any]) -> None:
        state = definition["States"]["RunContainer"]
        assert state.pop("TimeoutSecondsPath") == "$.timeout_seconds"
        state["TimeoutSeconds"] = 1

    redefine(shorten)
    job_id = machine.submit(body())
    job = ended(user, job_id)
    assert (job["status"], job["attempt"], job["started_at"]) == ("FAILED", 1, None)
    assert job["error"] == {
        "code": "EXECUTION_TIMED_OUT",
        "message": "it waited for too long; its container may never have started",
    }
    execution = machine.execution(job_id)
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Timeout")


@pytest.fixture
def hurried(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the function 8 s, as if 21 of its 29 were over."""
    pool = stack.functions["AdjustFunction"]

    def replace_workers() -> None:
        for pid in pool.pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not pool.pids)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "function", replace(pool.function, timeout=8))
        replace_workers()
        yield
    replace_workers()


@pytest.mark.usefixtures("all_busy", "hurried")
def test_one_that_waits_answers_before_its_function_is_ended(user: Any) -> None:
    answer = user.http.post(ADJUST, json=body(target="BATCH", wait_for_result=True))
    assert (answer.status_code, answer.json()["status"]) == (202, "QUEUED")


def test_an_execution_that_takes_too_long_fails_its_job(machine: Machine, user: Any, redefine: Any) -> None:
    started = time.monotonic()
    ended(user, machine.submit(body()))  # the function is warm then
    enough = 5 + 2 * math.ceil(time.monotonic() - started)  # for this machine to start a container
    redefine(lambda definition: definition.update(TimeoutSeconds=enough))
    job_id, pid = machine.submit_and_wait_for_its_container()
    os.kill(pid, signal.SIGSTOP)
    job = ended(user, job_id)
    assert (job["status"], job["error"]["code"]) == ("FAILED", "EXECUTION_TIMED_OUT")
    assert job["error"]["message"] == "it took too long"
    assert machine.execution(job_id)["status"] == "TIMED_OUT"
    os.kill(pid, signal.SIGKILL)
    assert machine.exit_codes(job_id) == [137, 64], "what Batch begins after that has nothing to do"
    assert machine.status(job_id)["attempt"] == job["attempt"]
