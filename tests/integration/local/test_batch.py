"""Batch as the stack has it: jobs are processes, and end as Batch's do."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local import batch
from local.stack import Stack
from tests.integration.local.conftest import Records
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

ONCE = 'test -e "$RECORDS/crashed" || {{ touch "$RECORDS/crashed"; {crash}; }}'
TRAP = 'trap "exit 143" TERM; touch "$RECORDS/up"; while :; do sleep 0.05; done'
STUBBORN = 'trap "" TERM; touch "$RECORDS/up"; while :; do sleep 0.05; done'


class Jobs:
    """Jobs that run shell scripts."""

    def __init__(self, stack: Stack) -> None:
        self.client: BatchClient = stack.client("batch")
        variables = stack.functions["StarterFunction"].environment
        self.queue, self.definition = variables["JOB_QUEUE"], variables["JOB_DEFINITION"]
        self.folder = Path(variables["RECORDS"])

    def submit(self, script: str, **more: Any) -> str:
        environment = [{"name": "SCRIPT", "value": script}]
        submitted = self.client.submit_job(
            jobName="job",
            jobQueue=self.queue,
            jobDefinition=self.definition,
            containerOverrides={"environment": environment},  # type: ignore[typeddict-item, unused-ignore]
            **more,
        )
        return submitted["jobId"]

    def describe(self, job_id: str) -> Any:
        [described] = self.client.describe_jobs(jobs=[job_id])["jobs"]
        return described

    def wait(self, job_id: str) -> Any:
        return until(lambda: (found := self.describe(job_id))["status"] in ("SUCCEEDED", "FAILED") and found)

    def run(self, script: str) -> Any:
        return self.wait(self.submit(script))

    def wait_for(self, name: str) -> None:
        until((self.folder / name).exists)


@pytest.fixture
def jobs(event_stack: Stack) -> Iterator[Jobs]:
    jobs = Jobs(event_stack)
    yield jobs
    for path in jobs.folder.glob("*"):
        if path.is_file():
            path.unlink()


def codes(described: Any) -> list[int]:
    return [attempt["container"]["exitCode"] for attempt in described["attempts"]]


def test_a_job_runs_in_an_environment_of_its_own(jobs: Jobs) -> None:
    described = jobs.run('env > "$RECORDS/environment"')
    assert (described["status"], described["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")
    assert described["createdAt"] <= described["startedAt"] <= described["stoppedAt"]
    lines = (jobs.folder / "environment").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    assert (found["AWS_BATCH_JOB_ID"], found["AWS_BATCH_JOB_ATTEMPT"]) == (described["jobId"], "1")
    assert found["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert "MONGODB_URI" not in found
    assert "PYTEST_CURRENT_TEST" not in found


@pytest.mark.parametrize(
    ("script", "exit_codes", "status"),
    [
        ("exit 64", [64], "FAILED"),
        ("exit 1", [1, 1, 1], "FAILED"),
        ("exit 2", [2], "FAILED"),
        (ONCE.format(crash="exit 1"), [1, 0], "SUCCEEDED"),
        (ONCE.format(crash="kill -9 $$"), [137, 0], "SUCCEEDED"),
        (ONCE.format(crash="kill -SEGV $$"), [139, 0], "SUCCEEDED"),
    ],
)
def test_the_retry_strategy_decides(jobs: Jobs, script: str, exit_codes: list[int], status: str) -> None:
    described = jobs.run(script)
    assert (codes(described), described["status"]) == (exit_codes, status)
    assert described["container"]["exitCode"] == exit_codes[-1]


@pytest.mark.parametrize(
    ("code", "reason", "again"),
    [
        (1, "Host EC2 (instance i-0) terminated.", True),
        (64, "Host EC2 (instance i-0) terminated.", False),
        (7, "Essential container in task exited", False),
        (9, "", True),
    ],
)
def test_the_first_rule_that_matches_counts(code: int, reason: str, again: bool) -> None:
    rules = [
        {"OnExitCode": "64", "Action": "EXIT"},
        {"OnStatusReason": "Host EC2*", "Action": "RETRY"},
        {"OnExitCode": "7*", "OnStatusReason": "Essential*", "Action": "exit"},
    ]
    assert batch.retries(rules, code, reason) is again


def test_a_terminated_job_gets_sigterm_and_no_other_attempt(jobs: Jobs) -> None:
    job_id = jobs.submit(TRAP)
    jobs.wait_for("up")
    jobs.client.terminate_job(jobId=job_id, reason="as asked")
    described = jobs.wait(job_id)
    assert (described["status"], described["statusReason"], codes(described)) == ("FAILED", "as asked", [143])


def test_what_does_not_stop_is_killed(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "STOP_SECONDS", 0.5)
    job_id = jobs.submit(STUBBORN)
    jobs.wait_for("up")
    jobs.client.terminate_job(jobId=job_id, reason="as asked")
    assert codes(jobs.wait(job_id)) == [137]


def test_an_attempt_that_takes_too_long_is_ended_and_not_repeated(jobs: Jobs) -> None:
    described = jobs.wait(jobs.submit(TRAP, timeout={"attemptDurationSeconds": 1}))
    assert (described["status"], codes(described)) == ("FAILED", [143])
    assert described["statusReason"] == "Job attempt duration exceeded timeout"


def test_a_job_waits_for_room_and_can_be_terminated_there(jobs: Jobs) -> None:
    running = [jobs.submit(TRAP) for _ in range(batch.MAX_CONTAINERS)]
    jobs.wait_for("up")
    waiting = jobs.submit("exit 0")
    time.sleep(0.3)  # long enough to start, had there been room
    assert jobs.describe(waiting)["status"] == "RUNNABLE"
    jobs.client.terminate_job(jobId=waiting, reason="no longer")
    assert jobs.wait(waiting)["attempts"] == []
    for job_id in running:
        jobs.client.terminate_job(jobId=job_id, reason="done")
        jobs.wait(job_id)


def test_an_unknown_definition_is_refused(jobs: Jobs) -> None:
    with pytest.raises(ClientError, match="ClientException"):
        jobs.client.submit_job(jobName="job", jobQueue=jobs.queue, jobDefinition="nothing")


def test_a_stack_that_stops_leaves_no_container(tmp_path: Path, records: Records) -> None:
    from tests.integration.local.conftest import EVENTS

    with Stack(template=EVENTS, parameters={"Records": str(tmp_path)}) as other:
        Jobs(other).submit(STUBBORN)
        until((tmp_path / "up").exists)
        [pid] = until(lambda: other.pids["containers"]).values()  # its start is told a moment after it
    assert not Path(f"/proc/{pid}").exists()
