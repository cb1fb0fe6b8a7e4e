"""What the states of a state machine call, while MongoDB is away for longer than the client waits for it."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pymongo
import pytest

from local.stack import Stack
from studio.documents import new_id
from studio.mongo import MongoSettings
from tests.api.test_bulk import picture, submit, upload, wait

AWAY_SECONDS = MongoSettings.model_fields["mongodb_timeout_ms"].default / 1000 + 1.5


def keep_down(stack: Stack, seconds: float) -> None:
    """Kill MongoDB, and again as often as it is started."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            os.kill(stack.pids["mongod"], signal.SIGKILL)
        time.sleep(0.02)


@pytest.fixture
def jobs(stack: Stack, user: Any) -> dict[str, str]:
    """Return ids of jobs that wait for a state each, by that state's function."""
    keys = [upload(stack, user, number, picture(90 + number)) for number in range(2)]
    done = submit(user, image_keys=keys)
    wait(user, done, "COMPLETED")
    ids = {
        name: new_id("job")
        for name in (
            "StartBulkJobFunction",
            "GradeBulkItemFunction",
            "CompleteBulkJobFunction",
            "PrepareContainerFunction",
        )
    }
    states = {"StartBulkJobFunction": "QUEUED", "PrepareContainerFunction": "QUEUED"}
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        collection = client["studio"]["computeTasks"]
        job = collection.find_one({"_id": done})
        assert job
        for name, job_id in ids.items():
            arn = f"{job['executionArn'].rpartition(':')[0]}:{job_id}"
            own = {"_id": job_id, "executionArn": arn, "status": states.get(name, "PROCESSING"), "result": None}
            own |= {"taskType": "adjust", "target": "BATCH"} if name == "PrepareContainerFunction" else {}
            collection.insert_one(job | own | {"finishedAt": None, "done": 0})
    return ids | {"image_key": keys[0]}


def test_they_outlast_it(stack: Stack, user: Any, jobs: dict[str, str]) -> None:
    image_key, functions = jobs.pop("image_key"), stack.client("lambda")

    def invoke(name: str) -> Any:
        payload = json.dumps({"job_id": jobs[name], "index": 0, "image_key": image_key})
        answer = functions.invoke(FunctionName=name, Payload=payload)
        told = json.load(answer["Payload"])
        assert "FunctionError" not in answer, told
        return told

    with ThreadPoolExecutor(5) as threads:
        outage = threads.submit(keep_down, stack, AWAY_SECONDS)
        time.sleep(0.1)
        assert not outage.done()
        answers = dict(zip(jobs, threads.map(invoke, jobs), strict=True))
    assert answers["StartBulkJobFunction"]["concurrency"] == 8
    assert answers["GradeBulkItemFunction"] == {"status": "COMPLETED"}
    assert answers["CompleteBulkJobFunction"]["counts"] == {"total": 2, "completed": 0, "failed": 2}
    assert answers["PrepareContainerFunction"]["vcpu"] == "2"
    statuses = {
        name: user.http.get(f"/compute-tasks/{job_id}/status").json()["status"] for name, job_id in jobs.items()
    }
    assert statuses == {
        "StartBulkJobFunction": "PROCESSING",
        "GradeBulkItemFunction": "PROCESSING",
        "CompleteBulkJobFunction": "COMPLETED",
        "PrepareContainerFunction": "QUEUED",
    }
