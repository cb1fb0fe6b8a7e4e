"""What the states of a bulk job's execution hold, however many images there are."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from samtranslator.yaml_helper import yaml_parse

from studio import storage
from studio.compute_tasks import repository as jobs
from studio.compute_tasks.models import Job, JobError
from studio.object_keys import job_key, upload_key
from studio.states import TransientError, retryable
from studio.tone_mapping.bulk import repository, service
from studio.tone_mapping.bulk.models import MAX_ITEMS, BulkItem, BulkJob

LIMIT = 32 * 1024
USER_ID, JOB_ID = "usr_" + "1" * 24, "job_" + "1" * 24
DEFINITION = Path(__file__).parents[3] / "statemachines/bulk_grade/definition.asl.yaml"


MANIFEST_KEY = job_key(USER_ID, JOB_ID, "manifest.json")


def running(parameters: dict[str, Any]) -> Job:
    now = datetime.now(UTC)
    order = BulkJob(
        task_type="adjust", parameters=parameters, concurrency=40, total=MAX_ITEMS, manifest_key=MANIFEST_KEY
    )
    return Job(
        id=JOB_ID,
        user_id=USER_ID,
        key_id="key_1",
        scopes=["grade"],
        task_type="bulk_grade",
        target="LAMBDA",
        status="PROCESSING",
        payload=order.model_dump(),
        created_at=now,
        queued_at=now,
        expires_at=now,
    )


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    keys = [upload_key(USER_ID, f"upl_{index:024x}") for index in range(MAX_ITEMS)]
    job = running({})
    objects = {MANIFEST_KEY: json.dumps(keys).encode()}

    def write(key: str, data: bytes, content_type: str, tags: Any, *, for_map: bool = False) -> None:
        objects[key] = data

    monkeypatch.setattr(jobs, "find_job", lambda job_id: job)
    monkeypatch.setattr(jobs, "complete_job", lambda *arguments: job)
    monkeypatch.setattr(repository, "find_items", lambda job_id: iter([]))
    monkeypatch.setattr(storage, "read", lambda key, max_bytes, *, for_map: (objects[key], len(objects[key])))
    monkeypatch.setattr(storage, "write", write)
    return objects


def test_the_states_stay_small_with_ten_thousand_images(written: dict[str, bytes]) -> None:
    started, completed = service.start(JOB_ID), service.complete(JOB_ID)
    assert len(json.dumps(started)) < LIMIT
    assert completed == {"total": MAX_ITEMS, "completed": 0, "failed": MAX_ITEMS}
    assert len(json.dumps({"counts": completed})) < LIMIT
    result = json.loads(written[job_key(USER_ID, JOB_ID, "result.json")])
    assert result["items"][-1]["error"]["code"] == "WORKER_LOST"


SLOW_DOWN: Any = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
DENIED: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[BulkItem]:
    items: list[BulkItem] = []
    job = running({"adjustments": {"exposure": 1}, "use_cache": False})

    def insert_item(item: BulkItem) -> bool:
        items.append(item)
        return True

    monkeypatch.setattr(jobs, "find_job", lambda job_id: job)
    monkeypatch.setattr(repository, "has_item", lambda *arguments: False)
    monkeypatch.setattr(repository, "insert_item", insert_item)
    monkeypatch.setattr(repository, "count_item", lambda *arguments: None)
    return items


def grade_where_the_store_answers(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> dict[str, Any]:
    def fail(*arguments: Any) -> None:
        raise problem

    monkeypatch.setattr(storage, "read", fail)
    grade = retryable(lambda: {"status": service.grade_item(JOB_ID, 0, upload_key(USER_ID, "upl_" + "0" * 24))})
    return grade()


@pytest.mark.parametrize(
    "problem", [ReadTimeoutError(endpoint_url="https://s3.test"), ClientError(SLOW_DOWN, "GetObject")]
)
def test_a_store_that_does_not_answer_fails_no_image_for_good(
    monkeypatch: pytest.MonkeyPatch, recorded: list[BulkItem], problem: Exception
) -> None:
    with pytest.raises(TransientError):
        grade_where_the_store_answers(monkeypatch, problem)
    assert recorded == []


def test_a_failure_that_stays_is_recorded(monkeypatch: pytest.MonkeyPatch, recorded: list[BulkItem]) -> None:
    denied = ClientError(DENIED, "GetObject")
    assert grade_where_the_store_answers(monkeypatch, denied) == {"status": "FAILED"}
    assert [item.error and item.error.code for item in recorded] == ["INTERNAL_ERROR"]


@pytest.mark.parametrize(("status", "faults"), [(422, 0), (500, 1), (None, 1)])
def test_images_that_fail_by_our_fault_are_alarmed_of(
    written: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int | None,
    faults: int,
) -> None:
    now = datetime.now(UTC)
    keys = [upload_key(USER_ID, f"upl_{index:024x}") for index in range(2)]
    written[MANIFEST_KEY] = json.dumps(keys).encode()
    items = [
        BulkItem(
            id=f"{JOB_ID}:0",
            user_id=USER_ID,
            index=0,
            image_key=keys[0],
            status="COMPLETED",
            finished_at=now,
            expires_at=now,
        )
    ]
    if status:
        error = JobError(code="E", message="no", status=status)
        items.append(items[0].model_copy(update={"id": f"{JOB_ID}:1", "index": 1, "status": "FAILED", "error": error}))
    monkeypatch.setattr(repository, "find_items", lambda job_id: iter(items))
    assert service.complete(JOB_ID) == {"total": 2, "completed": 1, "failed": 1}
    assert capsys.readouterr().out.count('"JobFault":') == faults


def test_results_are_left_out_of_the_state_and_nothing_is_caught() -> None:
    text = DEFINITION.read_text()
    states = yaml_parse(text)["States"]
    assert states["GradeImages"]["ResultPath"] is None
    assert "ResultWriter" in states["GradeImages"]
    assert "Catch" not in text
    assert {"StartJob", "GradeImages", "CompleteJob"} == states.keys()
