"""Jobs through the API: offloaded grading, its status, its result, its end."""

import base64
import io
import os
import signal
import time
import uuid
from typing import Any

import httpx
import numpy as np
import pymongo
import pytest
import skimage.data
from PIL import Image

from local.stack import Stack
from studio.object_keys import own_prefix
from tests.waiting import until

ADJUST = "/tone-mapping/adjust"


def body(**more: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()[::4, ::4]).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()
    return {"image": image, "adjustments": {"exposure": -1}, "use_container": True, **more}


def ended(user: Any, job_id: str) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        job: dict[str, Any] = user.http.get(f"/compute-tasks/{job_id}/status").raise_for_status().json()
        return job if job["status"] in ("COMPLETED", "FAILED", "CANCELLED") else None

    job: dict[str, Any] = until(over)
    return job


@pytest.mark.parametrize("option", [{"target": "BATCH"}, {"callback_url": "https://example.com/"}])
def test_options_of_a_job_are_refused_where_there_is_none(user: Any, option: dict[str, Any]) -> None:
    answer = user.http.post(ADJUST, json=body(use_container=False, **option))
    assert answer.status_code == 422
    assert f"without use_container there is no job, which {next(iter(option))}" in answer.json()["error"]["message"]


def test_an_offloaded_request_is_a_job_with_a_result(user: Any) -> None:
    answer = user.http.post(ADJUST, json=body())
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted.keys() == {"job_id", "status", "status_url"}
    assert answer.headers["location"] == accepted["status_url"]
    job = ended(user, accepted["job_id"])
    assert (job["status"], job["task_type"], job["target"], job["attempt"]) == ("COMPLETED", "adjust", "LAMBDA", 1)
    assert (job["progress"]["percent"], job["error"]) == (100, None)
    assert job["run_seconds"] >= 0
    result = user.http.get(job["result_url"]).raise_for_status().json()
    pixels = np.asarray(Image.open(io.BytesIO(httpx.get(result["image_url"]).raise_for_status().content)))
    assert pixels.mean() < 0.8 * skimage.data.coffee()[::4, ::4].mean()


def test_a_result_that_has_expired_is_told(stack: Stack, user: Any) -> None:
    result = user.http.post(ADJUST, json=body(wait_for_result=True, use_cache=False), timeout=40).json()
    [job] = user.http.get("/compute-tasks").json()["items"]
    stack.client("s3").delete_object(Bucket=stack.bucket_name, Key=result["result_key"])
    gone = user.http.get(job["result_url"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "RESULT_EXPIRED")


def test_a_key_without_the_scope_starts_no_job(stack: Stack, user: Any) -> None:
    key = user.http.post("/auth/api-keys", json={"name": "films", "scopes": ["export"]}).json()["api_key"]
    refused = user.http.post(ADJUST, json=body(), headers={"X-API-KEY": key})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "MISSING_SCOPE")
    assert user.http.get("/compute-tasks").json()["items"] == []
    kept = stack.client("s3").list_objects_v2(Bucket=stack.bucket_name, Prefix=own_prefix(user.user_id))
    assert kept["KeyCount"] == 0, "and its image is not kept"


def test_a_key_without_the_scope_of_a_job_does_not_get_at_it(stack: Stack, user: Any) -> None:
    graded = user.http.post(ADJUST, json=body()).json()["job_id"]
    ended(user, graded)
    exported = f"job_{uuid.uuid4().hex[:24]}"
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        jobs = client["studio"]["computeTasks"]
        like = jobs.find_one({"_id": graded})
        assert like
        jobs.insert_one(like | {"_id": exported, "taskType": "minimatics_export", "status": "QUEUED"})
    for scope, own, other, task_type in (
        ("grade", graded, exported, "minimatics_export"),
        ("export", exported, graded, "adjust"),
    ):
        key = user.http.post("/auth/api-keys", json={"name": scope, "scopes": [scope]}).json()["api_key"]
        headers = {"X-API-KEY": key}
        listed = user.http.get("/compute-tasks", headers=headers).json()["items"]
        assert [job["job_id"] for job in listed] == [own]
        assert user.http.get(f"/compute-tasks/{own}/status", headers=headers).status_code == 200
        for answer in (
            user.http.get("/compute-tasks", params={"task_type": task_type}, headers=headers),
            user.http.get(f"/compute-tasks/{other}/status", headers=headers),
            user.http.get(f"/compute-tasks/{other}/result", headers=headers),
            user.http.post(f"/compute-tasks/{other}/cancel", headers=headers),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MISSING_SCOPE")
    assert user.http.get(f"/compute-tasks/{exported}/status").json()["status"] == "QUEUED"
    assert len(user.http.get("/compute-tasks").json()["items"]) == 2
    user.http.post(f"/compute-tasks/{exported}/cancel").raise_for_status()


@pytest.mark.parametrize("delivery", ["auto", "inline"])
def test_one_that_is_waited_for_answers_as_if_run_at_once_but_by_url(user: Any, delivery: str) -> None:
    answer = user.http.post(ADJUST, json=body(wait_for_result=True, output={"delivery": delivery}), timeout=40)
    assert answer.status_code == 200
    graded = answer.json()
    assert (graded["adjustments"]["exposure"], graded["image"]) == (-1, None)
    assert httpx.get(graded["image_url"]).status_code == 200


def test_one_that_takes_longer_than_the_wait_goes_on(user: Any) -> None:
    accepted = user.http.post(ADJUST, json=slow(wait_for_result=True, wait_timeout_seconds=0.1), timeout=40)
    assert accepted.status_code == 202
    assert ended(user, accepted.json()["job_id"])["status"] == "COMPLETED"


def slow(**more: Any) -> dict[str, Any]:
    """A picture that takes seconds: 40 MP, all three spatial sliders, a large PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (8000, 5000), (90, 120, 60)).save(buffer, "JPEG", quality=30)
    image = base64.b64encode(buffer.getvalue()).decode()
    sliders = {"clarity": 40, "texture": 40, "dehaze": 40}
    return {"image": image, "adjustments": sliders, "use_container": True, "use_cache": False, **more}


@pytest.mark.parametrize("wait", [True, False])
def test_what_the_task_refuses_is_refused_once(user: Any, wait: bool) -> None:
    broken = body(wait_for_result=wait, image=base64.b64encode(b"no picture at all").decode())
    answer = user.http.post(ADJUST, json=broken, timeout=40)
    if wait:
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_FORMAT")
        at_once = user.http.post(ADJUST, json=broken | {"use_container": False})
        assert answer.json()["error"] == at_once.json()["error"], "it names the field, too"
        return
    job = ended(user, answer.json()["job_id"])
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("FAILED", "UNSUPPORTED_FORMAT", 1)
    result = user.http.get(f"/compute-tasks/{job['job_id']}/result")
    assert (result.status_code, result.json()["error"]["code"]) == (409, "JOB_FAILED")


def test_what_is_not_there_is_named_by_a_job_that_is_waited_for(user: Any) -> None:
    key = f"{own_prefix(user.user_id)}uploads/upl_{'0' * 24}"
    request = {"image_key": key, "adjustments": {"exposure": -1}, "use_container": True, "wait_for_result": True}
    answer = user.http.post(ADJUST, json=request, timeout=40)
    assert answer.status_code == 404
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == ["image_key"]


def test_a_job_is_cancelled_and_its_worker_stops(user: Any) -> None:
    job_id = user.http.post(ADJUST, json=slow()).json()["job_id"]
    until(lambda: user.http.get(f"/compute-tasks/{job_id}/status").json()["status"] == "PROCESSING")
    assert user.http.get(f"/compute-tasks/{job_id}/result").json()["error"]["code"] == "JOB_NOT_FINISHED"
    cancelled = user.http.post(f"/compute-tasks/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    again = user.http.post(f"/compute-tasks/{job_id}/cancel")
    assert (again.status_code, again.json()) == (200, cancelled.json()), "whose first answer was lost may ask again"
    time.sleep(3)  # a worker that went on would have completed by now
    assert user.http.get(f"/compute-tasks/{job_id}/status").json()["status"] == "CANCELLED"


def test_a_job_that_is_complete_cannot_be_cancelled(user: Any) -> None:
    job_id = user.http.post(ADJUST, json=body()).json()["job_id"]
    ended(user, job_id)
    refused = user.http.post(f"/compute-tasks/{job_id}/cancel")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "JOB_FINISHED")


def test_a_killed_worker_is_replaced(user: Any, stack: Stack) -> None:
    job_id = user.http.post(ADJUST, json=slow()).json()["job_id"]
    until(lambda: user.http.get(f"/compute-tasks/{job_id}/status").json()["status"] == "PROCESSING")
    for pid in stack.pids["workers"]["RunTaskFunction"]:
        os.kill(pid, signal.SIGKILL)
    job = ended(user, job_id)
    assert (job["status"], job["attempt"]) == ("COMPLETED", 2)


def test_jobs_are_listed_newest_first_and_filtered(user: Any) -> None:
    ids = [user.http.post(ADJUST, json=body()).json()["job_id"] for _ in range(3)]
    for job_id in ids:
        ended(user, job_id)
    page = user.http.get("/compute-tasks", params={"limit": 2}).json()
    assert [item["job_id"] for item in page["items"]] == ids[:0:-1]
    rest = user.http.get("/compute-tasks", params={"cursor": page["next_cursor"]}).json()
    assert ([item["job_id"] for item in rest["items"]], rest["next_cursor"]) == (ids[:1], None)
    assert user.http.get("/compute-tasks", params={"status": "FAILED"}).json()["items"] == []
    assert len(user.http.get("/compute-tasks", params={"task_type": "adjust"}).json()["items"]) == 3
    for unknown in ("ajust", "", "a" * 99):
        refused = user.http.get("/compute-tasks", params={"task_type": unknown})
        assert refused.status_code == 422
        [detail] = refused.json()["error"]["details"]
        assert detail["field"] == "task_type"
        assert "adjust, " in detail["message"]
        assert f"got '{unknown}"[:60] in detail["message"]


def test_another_users_job_is_not_found(user: Any, anonymous: Any) -> None:
    job_id = user.http.post(ADJUST, json=body()).json()["job_id"]
    email, password = "other-" + user.email, "correct horse battery"
    anonymous.post("/auth/register", json={"email": email, "password": password}).raise_for_status()
    key = anonymous.post("/auth/login", json={"email": email, "password": password}).json()["api_key"]
    for method, what in (("GET", "status"), ("GET", "result"), ("POST", "cancel")):
        answer = anonymous.request(method, f"/compute-tasks/{job_id}/{what}", headers={"X-API-KEY": key})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")
