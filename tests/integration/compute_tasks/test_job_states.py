"""The states of a job against a real MongoDB: whatever workers, clients and the clean-up do in whatever order."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from studio.compute_tasks import repository
from studio.compute_tasks.models import FINAL, Callback, Job, JobError

OWNER = "usr_1"
ERROR = JobError(code="E", message="no")
ATTEMPTS = st.integers(1, 4)


def new_job(**more: Any) -> Job:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": f"job_{uuid.uuid4().hex[:24]}",
        "user_id": OWNER,
        "key_id": "key_1",
        "scopes": ["grade"],
        "task_type": "adjust",
        "target": "LAMBDA",
        "payload": {"a": 1},
        "created_at": now,
        "queued_at": now,
        "expires_at": now + timedelta(days=1),
    }
    return Job(**values | more)


class Jobs(RuleBasedStateMachine):
    """One job, and a model of what it must be; workers may be late: they act for any attempt."""

    def __init__(self) -> None:
        super().__init__()
        job = new_job()
        repository.insert_job(job)
        self.id = job.id
        self.status, self.attempt, self.redrives = "QUEUED", 1, 0
        self.is_told = False  # why it is over
        self.completions = 0

    @rule(attempt=ATTEMPTS)
    def start(self, attempt: int) -> None:
        begun = repository.start_job(self.id, attempt, datetime.now(UTC))
        assert (begun is not None) == (self.status == "QUEUED" and attempt == self.attempt)
        if begun:
            self.status = "PROCESSING"

    @rule(attempt=ATTEMPTS, percent=st.floats(0, 100))
    def touch(self, attempt: int, percent: float) -> None:
        owned = repository.touch_job(self.id, attempt, {"percent": percent, "stage": "x"}, datetime.now(UTC))
        assert owned == (self.status == "PROCESSING" and attempt == self.attempt)

    @rule(attempt=ATTEMPTS)
    def complete(self, attempt: int) -> None:
        done = repository.complete_job(self.id, attempt, {"by": attempt}, datetime.now(UTC))
        assert (done is not None) == (self.status == "PROCESSING" and attempt == self.attempt)
        if done:
            self.status, self.completions = "COMPLETED", self.completions + 1

    @rule(attempt=ATTEMPTS)
    def fail(self, attempt: int) -> None:
        failed = repository.fail_job(self.id, attempt, ERROR, datetime.now(UTC))
        assert (failed is not None) == (self.status not in FINAL and attempt == self.attempt)
        if failed:
            self.status = "FAILED"

    @rule(attempt=ATTEMPTS)
    def requeue(self, attempt: int) -> None:
        queued = repository.requeue_job(self.id, attempt, datetime.now(UTC))
        assert (queued is not None) == (self.status not in FINAL and attempt == self.attempt)
        if queued:
            self.status, self.attempt = "QUEUED", self.attempt + 1

    @rule(user=st.sampled_from([OWNER, "usr_2"]))
    def cancel(self, user: str) -> None:
        cancelled = repository.cancel_job(self.id, user, datetime.now(UTC))
        assert (cancelled is not None) == (self.status not in FINAL and user == OWNER)
        if cancelled:
            self.status = "CANCELLED"

    @rule(status=st.sampled_from(["FAILED", "CANCELLED"]), redrives=st.integers(0, 3))
    def end_with_its_execution(self, status: Any, redrives: int) -> None:
        ended = repository.end_job(self.id, status, ERROR, redrives, datetime.now(UTC))
        assert (ended is not None) == (self.status not in FINAL and redrives >= self.redrives)
        if ended:
            self.status, self.is_told = status, True

    @rule(redrives=st.integers(0, 3))
    def redrive(self, redrives: int) -> None:
        reopened = repository.reopen_job(self.id, redrives, datetime.now(UTC))
        assert (reopened is not None) == (self.status != "COMPLETED" and redrives > self.redrives)
        if reopened:
            assert (reopened.spent_attempts, reopened.redrives) == (self.attempt, redrives)
            self.status, self.attempt, self.redrives, self.is_told = "QUEUED", self.attempt + 1, redrives, False

    @precondition(lambda self: self.status in FINAL)
    @rule()
    def nothing_else_leaves_a_final_state(self) -> None:
        self.end_with_its_execution("FAILED", 9)
        for attempt in range(1, 6):
            self.start(attempt)
            self.complete(attempt)
            self.fail(attempt)
            self.requeue(attempt)

    @invariant()
    def what_is_stored_is_what_the_model_says(self) -> None:
        job = repository.find_job(self.id)
        assert job
        assert (job.status, job.attempt) == (self.status, self.attempt)
        assert (job.finished_at is not None) == (self.status in FINAL)
        assert (job.result is not None) == (self.status == "COMPLETED")
        assert (job.error is not None) == (self.status == "FAILED" or self.is_told)
        assert self.completions <= 1


@pytest.mark.usefixtures("configure")
def test_no_order_of_events_breaks_a_job() -> None:
    checks = list(HealthCheck)
    run_state_machine_as_test(
        Jobs, settings=settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=checks)
    )


@pytest.mark.usefixtures("configure")
def test_of_many_workers_at_once_one_owns_the_job() -> None:
    job = new_job()
    repository.insert_job(job)

    def work(number: int) -> bool:
        if repository.start_job(job.id, 1, datetime.now(UTC)) is None:
            return False
        return repository.complete_job(job.id, 1, {"by": number}, datetime.now(UTC)) is not None

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(64))) == 1


@pytest.mark.usefixtures("configure")
def test_of_many_who_see_a_redrive_one_follows_it() -> None:
    told = Callback(url="https://example.com", status="DELIVERED", tries=3, delivered_at=datetime.now(UTC))
    job = new_job(status="FAILED", error=ERROR, finished_at=datetime.now(UTC), callback=told)
    repository.insert_job(job)
    with ThreadPoolExecutor(16) as pool:
        followed = list(pool.map(lambda _: repository.reopen_job(job.id, 1, datetime.now(UTC)), range(64)))
    [found] = [found for found in followed if found]
    assert (found.attempt, found.callback) == (2, Callback(url=told.url)), "which is told again"


@pytest.mark.usefixtures("configure")
def test_only_stale_jobs_are_found() -> None:
    now = datetime.now(UTC)
    old, fresh = now - timedelta(minutes=10), now
    silent = new_job(status="PROCESSING", heartbeat_at=old)
    waiting = new_job(queued_at=old)
    for job in (
        silent,
        waiting,
        new_job(queued_at=fresh),
        new_job(status="PROCESSING", queued_at=old, heartbeat_at=fresh),
        new_job(status="COMPLETED", queued_at=old, heartbeat_at=old),
        new_job(status="CANCELLED", queued_at=old),
    ):
        repository.insert_job(job)
    limit = now - timedelta(minutes=1)
    assert {job.id for job in repository.find_stale(limit, limit, limit, 100)} == {silent.id, waiting.id}
    repository.mark_checked(waiting.id, now)
    assert [job.id for job in repository.find_stale(limit, limit, limit, 100)] == [silent.id]
    later = now + timedelta(seconds=1)
    assert {job.id for job in repository.find_stale(limit, limit, later, 100)} == {silent.id, waiting.id}


@pytest.mark.usefixtures("configure")
def test_pages_have_every_job_of_the_same_moment() -> None:
    moment = datetime(2026, 11, 24, 12, tzinfo=UTC)
    job_ids = sorted((new_job(created_at=moment).id for _ in range(3)), reverse=True)
    for job_id in job_ids:
        repository.insert_job(new_job(id=job_id, created_at=moment))
    seen: list[str] = []
    before = None
    while page := repository.list_jobs(OWNER, before, 1, {}):
        seen.append(page[0].id)
        before = page[0].created_at, page[0].id
    assert seen == job_ids
