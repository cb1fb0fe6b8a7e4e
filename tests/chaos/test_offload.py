"""Offloaded grading while workers, and the database, are killed: every acknowledged job ends, and ends once.

``just test-chaos`` runs it with 200 jobs and 20 clients, at random: one in forty may fail, its attempts used up. In the
small run of ``just test`` a single job that chance hits three times would be too many: it spares jobs on their last
attempt, and all of them complete.
"""

import base64
import io
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pymongo
import pytest
import skimage.data
from PIL import Image
from pymongo.errors import PyMongoError

from local.stack import Stack
from studio.compute_tasks.registry import TASKS
from tests import leaks, tally
from tests.waiting import SECONDS

JOBS = int(os.environ.get("CHAOS_JOBS", "24"))
CLIENTS = int(os.environ.get("CHAOS_CLIENTS", "6"))
IS_SMALL = JOBS < 200
LAST_ATTEMPT = TASKS["auto_correct"].attempts
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack whose schedules keep their time: a job whose attempt could not be started waits for the clean-up."""
    with Stack() as running:
        yield running
        leaks.planted.update(leaks.stored_secrets(running))


def photo() -> str:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).resize((1500, 1000)).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


@contextmanager
def in_background(work: Any) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def kill_workers(stack: Stack, user: Any, kills: list[int]) -> Any:
    """Kill a random worker every half second or so, one for three jobs in all."""
    last = {"userId": user.user_id, "status": {"$nin": [*FINAL]}, "attempt": {"$gte": LAST_ATTEMPT}}

    def work(stop: threading.Event) -> None:
        chance = random.Random(7)
        with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
            while len(kills) < JOBS // 3 and not stop.wait(chance.uniform(0.3, 0.9)):
                with suppress(ProcessLookupError, PyMongoError):
                    if IS_SMALL and client["studio"]["computeTasks"].find_one(last):
                        continue
                    if pids := stack.pids["workers"].get("RunTaskFunction"):
                        os.kill(chance.choice(pids), signal.SIGKILL)
                        kills.append(1)

    return work


def post(client: httpx.Client, image: str, number: int) -> str:
    """Start a job; what is not acknowledged is sent again, as a client would."""
    body = {"image": image, "strength": 1 + number % 100, "use_cache": False, "use_container": True}
    deadline = time.monotonic() + 120
    while True:
        with suppress(httpx.TransportError):
            answer = client.post("/tone-mapping/auto-correct", json=body, timeout=35)
            if answer.status_code == 202:
                job_id: str = answer.json()["job_id"]
                return job_id
        assert time.monotonic() < deadline, "no job could be started for two minutes"
        time.sleep(0.5)


@pytest.mark.parametrize("kill_mongod", [False, True], ids=["workers", "workers and mongod"])
def test_every_acknowledged_job_ends_once(stack: Stack, user: Any, kill_mongod: bool) -> None:
    image, started = photo(), time.monotonic()
    kills: list[int] = []
    ends: Counter[str] = Counter()

    def count_ends(stop: threading.Event) -> None:
        """Count how often each job comes to an end, as MongoDB's change stream tells it."""
        token = None
        while not stop.is_set():
            with suppress(PyMongoError), pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
                jobs = client["studio"]["computeTasks"]
                with jobs.watch(resume_after=token, max_await_time_ms=200) as changes:
                    watching.set()
                    while not stop.is_set():
                        change = changes.try_next()
                        token = changes.resume_token
                        if change and change["operationType"] == "update":
                            status = change["updateDescription"]["updatedFields"].get("status")
                            ends[change["documentKey"]["_id"]] += status in FINAL

    watching = threading.Event()
    with in_background(count_ends), in_background(kill_workers(stack, user, kills)):
        assert watching.wait(60)
        with ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(post, user.http, image, number) for number in range(JOBS)]
            if kill_mongod:
                time.sleep(3)
                os.kill(stack.pids["mongod"], signal.SIGKILL)
            ids = [future.result() for future in futures]
        deadline = time.monotonic() + SECONDS
        jobs: dict[str, dict[str, Any]] = {}
        while len(jobs) < JOBS and time.monotonic() < deadline:
            for job_id in ids:
                if job_id not in jobs:
                    with suppress(httpx.HTTPError):
                        job = user.http.get(f"/compute-tasks/{job_id}/status", timeout=35).raise_for_status().json()
                        if job["status"] in FINAL:
                            jobs[job_id] = job
            time.sleep(0.3)
        time.sleep(1)  # the change stream's last words
    took = time.monotonic() - started
    statuses = Counter(job["status"] for job in jobs.values())
    attempts = Counter(job["attempt"] for job in jobs.values())
    print(f"{JOBS} jobs, {len(kills)} workers killed, {took:.0f} s: {dict(statuses)}, attempts {dict(attempts)}")
    tally.counts[tally.TRIED] += JOBS
    tally.counts[tally.LOST] += JOBS - len(jobs)
    assert kills, "nothing was killed"
    assert len(set(ids)) == JOBS
    assert len(jobs) == JOBS, "some jobs did not end"
    assert statuses["COMPLETED"] >= (JOBS if IS_SMALL else 0.975 * JOBS)
    for job in jobs.values():
        if job["status"] == "FAILED":
            assert f"attempt {LAST_ATTEMPT} of {LAST_ATTEMPT}" in job["error"]["message"]
    assert max(ends[job_id] for job_id in ids) == 1, "a job ended twice"
