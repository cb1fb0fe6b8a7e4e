"""Many images through the API: one state machine, one record an image, one manifest of all."""

import base64
import io
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pymongo
import pytest
from PIL import Image
from pymongo.database import Database

from local.stack import Stack
from studio.object_keys import upload_key
from tests.waiting import SECONDS, until

BULK = "/tone-mapping/bulk"
DARKER: dict[str, Any] = {"task_type": "adjust", "parameters": {"adjustments": {"exposure": -1}, "use_cache": False}}


def picture(shade: int, side: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def upload(stack: Stack, user: Any, number: int, data: bytes) -> str:
    key = upload_key(user.user_id, f"upl_{number:024x}")
    stack.client("s3").put_object(Bucket=stack.bucket_name, Key=key, Body=data)
    return key


@pytest.fixture
def studio_database(stack: Stack) -> Iterator[Database[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield client["studio"]


def submit(user: Any, **body: Any) -> str:
    answer = user.http.post(BULK, json={**DARKER, **body})
    assert answer.status_code == 202, answer.text
    assert answer.json().keys() == {"job_id", "status", "status_url"}
    job_id: str = answer.json()["job_id"]
    return job_id


def wait(user: Any, job_id: str, *statuses: str) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while True:
        job: dict[str, Any] = user.http.get(f"/compute-tasks/{job_id}/status").raise_for_status().json()
        if job["status"] in statuses:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)


def wait_for_progress(user: Any, job_id: str) -> None:
    until(lambda: user.http.get(f"/compute-tasks/{job_id}/status").json()["progress"]["percent"])


def execution(stack: Stack, database: Database[dict[str, Any]], job_id: str) -> str:
    found = database["computeTasks"].find_one({"_id": job_id})
    assert found
    arn: str = found["executionArn"]
    assert arn.endswith(f":{job_id}")
    return arn


def items(database: Database[dict[str, Any]], job_id: str) -> list[dict[str, Any]]:
    return list(database["bulkItems"].find({"_id": {"$regex": f"^{job_id}:"}}))


def test_a_broken_image_is_listed_and_the_others_are_graded(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    pictures = [picture(100 + number) for number in range(12)]
    pictures[5] = b"no picture at all"
    keys = [upload(stack, user, number, data) for number, data in enumerate(pictures)]
    job_id = submit(user, image_keys=keys, concurrency=3)
    job = wait(user, job_id, "COMPLETED", "FAILED", "CANCELLED")
    assert (job["status"], job["task_type"], job["error"]) == ("COMPLETED", "bulk_grade", None), job
    assert job["progress"]["percent"] == 100
    result = user.http.get(job["result_url"]).raise_for_status().json()
    assert result["counts"] == {"total": 12, "completed": 11, "failed": 1}
    manifest = httpx.get(result["manifest_url"]).raise_for_status().json()
    assert manifest["counts"] == result["counts"]
    assert [(item["index"], item["image_key"]) for item in manifest["items"]] == list(enumerate(keys))
    broken = manifest["items"].pop(5)
    assert (broken["status"], broken["error"]["code"]) == ("FAILED", "UNSUPPORTED_FORMAT")
    for item in manifest["items"]:
        assert (item["status"], item["error"]) == ("COMPLETED", None)
        stored = stack.client("s3").get_object(Bucket=stack.bucket_name, Key=item["result_key"])["Body"].read()
        assert np.asarray(Image.open(io.BytesIO(stored))).mean() < 0.85 * (100 + item["index"])
    found = studio_database["computeTasks"].find_one({"_id": job_id})
    assert found
    assert found["done"] == 12
    ended = stack.client("stepfunctions").describe_execution(executionArn=found["executionArn"])
    assert ended["status"] == "SUCCEEDED"


def test_a_manifest_or_all_uploads_name_the_images(stack: Stack, user: Any) -> None:
    keys = [upload(stack, user, number, picture(50 + number)) for number in range(2)]
    job = wait(user, submit(user, all_uploads=True), "COMPLETED", "FAILED")
    assert user.http.get(job["result_url"]).json()["counts"] == {"total": 2, "completed": 2, "failed": 0}
    manifest = upload(stack, user, 9, json.dumps(keys[:1]).encode())
    job = wait(user, submit(user, manifest_key=manifest), "COMPLETED", "FAILED")
    assert user.http.get(job["result_url"]).json()["counts"] == {"total": 1, "completed": 1, "failed": 0}


def test_what_came_inline_with_another_job_is_no_upload(stack: Stack, user: Any) -> None:
    key = upload(stack, user, 0, picture(50))
    image = base64.b64encode(picture(70)).decode()
    body = {"image": image, **DARKER["parameters"], "use_container": True, "wait_for_result": True}
    assert user.http.post("/tone-mapping/adjust", json=body).status_code == 200
    assert [item["image_key"] for item in user.http.get("/uploads").json()["items"]] == [key]
    job = wait(user, submit(user, all_uploads=True), "COMPLETED", "FAILED")
    manifest = httpx.get(user.http.get(job["result_url"]).json()["manifest_url"]).json()
    assert [item["image_key"] for item in manifest["items"]] == [key]


def test_a_cancelled_job_grades_no_more(stack: Stack, user: Any, studio_database: Database[dict[str, Any]]) -> None:
    keys = [upload(stack, user, 0, picture(90, 2500))] * 60
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait_for_progress(user, job_id)
    cancelled = user.http.post(f"/compute-tasks/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    done = len(items(studio_database, job_id))
    assert 1 <= done < 60
    time.sleep(5)  # what went on would have graded more than the one that was under way
    assert len(items(studio_database, job_id)) <= done + 1
    arn = execution(stack, studio_database, job_id)
    assert stack.client("stepfunctions").describe_execution(executionArn=arn)["status"] == "ABORTED"
    job = wait(user, job_id, "CANCELLED")
    assert job["error"] is None
    refused = user.http.get(f"/compute-tasks/{job_id}/result")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "JOB_CANCELLED")


def test_an_execution_that_is_stopped_in_the_console_is_told(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    keys = [upload(stack, user, 0, picture(90, 2500))] * 60
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait(user, job_id, "PROCESSING")
    arn = execution(stack, studio_database, job_id)
    stack.client("stepfunctions").stop_execution(executionArn=arn, error="Console", cause="x" * 600)
    job = wait(user, job_id, "CANCELLED", "FAILED", "COMPLETED")
    assert (job["status"], job["error"]["code"]) == ("CANCELLED", "ABORTED")
    assert len(job["error"]["message"]) == 500


def test_an_execution_that_fails_is_told(stack: Stack, user: Any, studio_database: Database[dict[str, Any]]) -> None:
    keys = [upload(stack, user, 0, picture(90, 2500))] * 4
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait(user, job_id, "PROCESSING")
    found = studio_database["computeTasks"].find_one({"_id": job_id})
    assert found
    stack.client("s3").delete_object(Bucket=stack.bucket_name, Key=found["payload"]["manifest_key"])
    job = wait(user, job_id, "CANCELLED", "FAILED", "COMPLETED")
    assert (job["status"], job["error"]["code"]) == ("FAILED", "EXECUTION_FAILED")


def test_a_job_goes_on_where_its_execution_is_redriven(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    keys = [upload(stack, user, 0, picture(90, 1500))] * 12
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait_for_progress(user, job_id)
    arn, steps = execution(stack, studio_database, job_id), stack.client("stepfunctions")
    steps.stop_execution(executionArn=arn)
    assert wait(user, job_id, "CANCELLED")["error"]["code"] == "ABORTED"
    before = {item["_id"]: item["finishedAt"] for item in items(studio_database, job_id)}
    assert 1 <= len(before) < 12

    steps.redrive_execution(executionArn=arn)
    job = wait(user, job_id, "COMPLETED", "FAILED")
    assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", 2, None)
    assert user.http.get(job["result_url"]).json()["counts"] == {"total": 12, "completed": 12, "failed": 0}
    after = {item["_id"]: item["finishedAt"] for item in items(studio_database, job_id)}
    assert after | before == after, "what was graded before is not graded again"


def test_an_image_whose_function_is_killed_is_begun_anew(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    keys = [upload(stack, user, 0, picture(90, 2500))] * 3
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait_for_progress(user, job_id)
    before = len(items(studio_database, job_id))
    for pid in stack.pids["workers"]["GradeBulkItemFunction"]:
        os.kill(pid, signal.SIGKILL)
    job = wait(user, job_id, "COMPLETED", "FAILED")
    assert before < 3
    assert user.http.get(job["result_url"]).json()["counts"] == {"total": 3, "completed": 3, "failed": 0}


def test_an_item_of_a_job_that_is_over_fails_so_that_a_redrive_does_it_again(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    keys = [upload(stack, user, 0, picture(90, 2500))] * 60
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait(user, job_id, "PROCESSING")
    user.http.post(f"/compute-tasks/{job_id}/cancel").raise_for_status()
    functions = stack.client("lambda")
    for name in ("GradeBulkItemFunction", "CompleteBulkJobFunction"):
        payload = json.dumps({"job_id": job_id, "index": 59, "image_key": keys[0]})
        answer = functions.invoke(FunctionName=name, Payload=payload)
        assert json.load(answer["Payload"])["errorMessage"] == f"the job {job_id} is CANCELLED"
    assert wait(user, job_id, "CANCELLED")["attempt"] == 1


def test_a_job_that_could_not_begin_does_so_where_its_execution_is_redriven(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    job_id = submit(user, image_keys=[upload(stack, user, 0, picture(90))])
    wait(user, job_id, "COMPLETED")
    # As it would be, had the first state failed; an execution that has succeeded cannot be redriven.
    arn, steps = execution(stack, studio_database, job_id), stack.client("stepfunctions")
    other = f"{job_id[:-1]}{'0' if job_id[-1] != '0' else '1'}"
    found = studio_database["computeTasks"].find_one({"_id": job_id})
    assert found
    machine = arn.rpartition(":")[0].replace(":execution:", ":stateMachine:")
    steps.start_execution(stateMachineArn=machine, name=other)
    other_arn = f"{arn.rpartition(':')[0]}:{other}"
    until(lambda: steps.describe_execution(executionArn=other_arn)["status"] != "RUNNING")
    failed = steps.describe_execution(executionArn=other_arn)
    assert (failed["status"], failed["error"]) == ("FAILED", "JobOverError")
    values = {"_id": other, "executionArn": other_arn, "status": "FAILED", "result": None, "done": 0}
    studio_database["computeTasks"].insert_one(found | values)
    steps.redrive_execution(executionArn=other_arn)
    job = wait(user, other, "COMPLETED")
    assert job["attempt"] == 2


def test_a_running_job_is_not_silent_to_the_clean_up(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    keys = [upload(stack, user, 0, picture(90, 2500))] * 60
    job_id = submit(user, image_keys=keys, concurrency=1)
    wait(user, job_id, "PROCESSING")
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    studio_database["computeTasks"].update_one({"_id": job_id}, {"$set": {"heartbeatAt": long_ago}})
    answer = stack.client("lambda").invoke(FunctionName="CleanUpTasksFunction", Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert user.http.get(f"/compute-tasks/{job_id}/status").json()["status"] == "PROCESSING"
    user.http.post(f"/compute-tasks/{job_id}/cancel").raise_for_status()


@pytest.mark.parametrize("by", ["image_keys", "manifest_key"])
def test_another_users_image_is_not_found_before_anything_starts(stack: Stack, user: Any, by: str) -> None:
    own = upload(stack, user, 0, picture(90))
    keys = [own, upload_key("usr_" + "f" * 24, "upl_" + "0" * 24)]
    body: dict[str, Any] = {"image_keys": keys}
    if by == "manifest_key":
        body = {"manifest_key": upload(stack, user, 1, json.dumps(keys).encode())}
    answer = user.http.post(BULK, json={**DARKER, **body})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OBJECT_NOT_FOUND")
    assert answer.json()["error"]["details"][0]["field"] == f"{by}.1"
    assert user.http.get("/compute-tasks").json()["items"] == []


def test_a_preset_that_is_none_of_the_users_is_not_found_before_anything_starts(stack: Stack, user: Any) -> None:
    keys = [upload(stack, user, 0, picture(90))]
    body = {"task_type": "apply_preset", "parameters": {"preset_id": "builtin_vivd"}, "image_keys": keys}
    answer = user.http.post(BULK, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "PRESET_NOT_FOUND")
    assert answer.json()["error"]["details"][0]["field"] == "parameters.preset_id"
    assert user.http.get("/compute-tasks").json()["items"] == []


@pytest.mark.parametrize("key", ["users/{}/uploads/upl_000000000000000000000000", ""])
def test_a_reference_that_is_not_there_is_not_found_before_anything_starts(stack: Stack, user: Any, key: str) -> None:
    reference = key.format(user.user_id)
    keys = [upload(stack, user, 1, picture(90))]
    body = {"task_type": "auto_correct", "parameters": {"reference_key": reference}, "image_keys": keys}
    answer = user.http.post(BULK, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OBJECT_NOT_FOUND")
    assert answer.json()["error"]["details"][0]["field"] == "parameters.reference_key"
    assert user.http.get("/compute-tasks").json()["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"parameters": {"adjustments": {"exposure": 9}}}, "parameters.adjustments.exposure"),
        ({"parameters": {}}, "parameters.adjustments"),
        ({"parameters": {"adjustments": {}, "image_key": "x"}}, "parameters.image_key"),
        ({"concurrency": 41}, "concurrency"),
        ({"image_keys": []}, "image_keys"),
        ({"all_uploads": True}, "body"),
        ({"task_type": "bulk_grade"}, "task_type"),
    ],
)
def test_what_is_wrong_is_named(stack: Stack, user: Any, change: dict[str, Any], field: str) -> None:
    body = {**DARKER, "image_keys": [upload_key(user.user_id, "upl_1")], **change}
    answer = user.http.post(BULK, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_FIELD")
    assert answer.json()["error"]["details"][0]["field"] == field


def test_a_manifest_that_is_none_is_refused(stack: Stack, user: Any) -> None:
    contents = {b"no json": "no list", b"[]": "0 entries", b"{}": "no list", b'["a", 1]': "no string at index 1"}
    for content, told in contents.items():
        answer = user.http.post(BULK, json={**DARKER, "manifest_key": upload(stack, user, 0, content)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_MANIFEST")
        assert answer.json()["error"]["message"].endswith(f"each a string; got {told}")
