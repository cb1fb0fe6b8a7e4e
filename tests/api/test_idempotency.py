"""Idempotency-Key through the API: functions in processes of their own, at once, and killed."""

import base64
import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pymongo
import pytest
import skimage.data
from PIL import Image
from pymongo.database import Database

from local.stack import Stack
from tests.waiting import until

ADJUST = "/tone-mapping/adjust"
BULK = "/tone-mapping/bulk"
PRESETS = "/tone-mapping/presets"
KEY = {"Idempotency-Key": "the first, and again"}


@pytest.fixture
def database(stack: Stack) -> Iterator[Database[Any]]:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield client["studio"]


def adjusting(**more: Any) -> dict[str, Any]:
    return {"image": encoded(Image.fromarray(skimage.data.coffee()[::4, ::4])), "adjustments": {"exposure": -1}, **more}


def slow(**more: Any) -> dict[str, Any]:
    """An image that takes seconds."""
    image = encoded(Image.new("RGB", (8000, 5000), (90, 120, 60)))
    sliders = {"clarity": 40, "texture": 40, "dehaze": 40}
    return {"image": image, "adjustments": sliders, "use_cache": False, "output": {"max_size": 512}, **more}


def encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return base64.b64encode(buffer.getvalue()).decode()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def assert_replayed(first: httpx.Response, again: httpx.Response) -> None:
    assert first.is_success
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_a_graded_image_is_answered_again(user: Any) -> None:
    body = adjusting(output={"delivery": "inline"})
    first, again = (user.http.post(ADJUST, json=body, headers=KEY) for _ in range(2))
    assert_replayed(first, again)
    assert code(user.http.post(ADJUST, json=body | {"use_cache": False}, headers=KEY)) == (409, "IDEMPOTENCY_MISMATCH")
    anew = user.http.post(ADJUST, json=body)
    assert anew.json()["request_id"] != first.json()["request_id"]


def test_a_graded_images_url_is_fresh(user: Any, database: Database[Any]) -> None:
    body = adjusting(output={"delivery": "url"})
    first = user.http.post(ADJUST, json=body, headers=KEY).raise_for_status().json()
    # As if its URL had ended meanwhile.
    record = database["idempotency"].find_one({"_id": {"$regex": f"^{user.user_id}#"}}) or {}
    stale = record["answer"].replace("X-Amz-Signature=", "X-Amz-Signature=0")
    assert stale != record["answer"]
    database["idempotency"].update_one({"_id": record["_id"]}, {"$set": {"answer": stale}})
    again = user.http.post(ADJUST, json=body, headers=KEY).raise_for_status().json()
    assert httpx.get(again["image_url"]).status_code == 200
    assert (first["expires_at"][-1], again["expires_at"][-1]) == ("Z", "Z")
    changing = {"image_url", "expires_at"}
    assert {name: again[name] for name in again.keys() - changing} == {
        name: first[name] for name in first.keys() - changing
    }


def test_a_graded_image_that_is_no_more_is_told(user: Any) -> None:
    body = adjusting(output={"delivery": "url"})
    user.http.post(ADJUST, json=body, headers=KEY).raise_for_status()
    user.http.delete("/tone-mapping/cache").raise_for_status()
    gone = user.http.post(ADJUST, json=body, headers=KEY)
    assert code(gone) == (410, "RESULT_EXPIRED")
    assert "another Idempotency-Key" in gone.json()["error"]["message"]
    anew = user.http.post(ADJUST, json=body, headers={"Idempotency-Key": "another"})
    assert httpx.get(anew.raise_for_status().json()["image_url"]).status_code == 200


def test_a_previous_answer_takes_the_scope_of_the_first(user: Any) -> None:
    first = user.http.post(ADJUST, json=adjusting(), headers=KEY)
    assert first.status_code == 200
    films = user.http.post("/auth/api-keys", json={"name": "films", "scopes": ["export"]}).json()["api_key"]
    refused = user.http.post(ADJUST, json=adjusting(), headers=KEY | {"X-API-KEY": films})
    assert code(refused) == (403, "MISSING_SCOPE")


def test_a_job_is_started_once(user: Any) -> None:
    first, again = (user.http.post(ADJUST, json=adjusting(use_container=True), headers=KEY) for _ in range(2))
    assert first.status_code == 202
    assert_replayed(first, again)
    assert len(user.http.get("/compute-tasks").json()["items"]) == 1


def test_a_bulk_job_is_started_once(user: Any) -> None:
    form = user.http.post("/uploads", json={"content_type": "image/jpeg"}).json()
    photo = base64.b64decode(adjusting()["image"])
    assert httpx.post(form["url"], data=form["fields"], files={"file": photo}).is_success
    body = {"image_keys": [form["image_key"]], "task_type": "auto_correct"}
    first, again = (user.http.post(BULK, json=body, headers=KEY) for _ in range(2))
    assert first.status_code == 202
    assert_replayed(first, again)
    assert first.headers["location"] == again.headers["location"] == first.json()["status_url"]
    assert len(user.http.get("/compute-tasks").json()["items"]) == 1


def test_a_preset_is_made_once(user: Any) -> None:
    body = {"name": "Mine", "adjustments": {"exposure": 0.5}}
    assert_replayed(*(user.http.post(PRESETS, json=body, headers=KEY) for _ in range(2)))
    own = [item for item in user.http.get(PRESETS, params={"limit": 100}).json()["items"] if not item["is_builtin"]]
    assert len(own) == 1


def test_a_preset_is_imported_once(user: Any) -> None:
    cube = "LUT_3D_SIZE 2\n0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n"
    body = {"name": "Mine", "content": cube}
    assert_replayed(*(user.http.post(f"{PRESETS}/import", json=body, headers=KEY) for _ in range(2)))


def test_an_upload_is_started_once_and_works(user: Any) -> None:
    first, again = (user.http.post("/uploads", json={"content_type": "image/jpeg"}, headers=KEY) for _ in range(2))
    assert_replayed(first, again)
    assert httpx.post(again.json()["url"], data=again.json()["fields"], files={"file": b"bytes"}).is_success


def test_a_secret_is_never_kept(user: Any, database: Database[Any]) -> None:
    made = [user.http.post("/auth/api-keys", json={"name": "n", "scopes": ["grade"]}, headers=KEY) for _ in range(2)]
    assert made[0].json()["api_key"] != made[1].json()["api_key"]
    assert database["idempotency"].count_documents({"_id": {"$regex": f"^{user.user_id}#"}}) == 0


def test_an_error_is_not_kept(user: Any) -> None:
    form = user.http.post("/uploads", json={"content_type": "image/jpeg"}).json()
    body = {"image_key": form["image_key"], "adjustments": {"exposure": 1}}
    assert code(user.http.post(ADJUST, json=body, headers=KEY))[0] == 404
    photo = base64.b64decode(adjusting()["image"])
    assert httpx.post(form["url"], data=form["fields"], files={"file": photo}).is_success
    again = user.http.post(ADJUST, json=body, headers=KEY)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (200, False)


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_what_is_no_key_is_refused(user: Any, key: str) -> None:
    answer = user.http.post(PRESETS, json={"name": "Mine", "adjustments": {}}, headers={"Idempotency-Key": key})
    assert code(answer) == (422, "INVALID_FIELD")
    assert answer.json()["error"]["details"][0]["field"] == "Idempotency-Key"


def test_of_many_at_once_one_does_the_work(user: Any) -> None:
    body = adjusting(use_container=True)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: user.http.post(ADJUST, json=body, headers=KEY), range(24)))
    done = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.json()["job_id"] for answer in done}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
    refused = [code(answer) for answer in answers if answer.status_code != 202]
    assert set(refused) <= {(409, "IDEMPOTENCY_IN_PROGRESS")}
    assert len(user.http.get("/compute-tasks").json()["items"]) == 1


def test_while_the_first_runs_the_second_is_told_so(user: Any, database: Database[Any]) -> None:
    body = slow()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(user.http.post, ADJUST, json=body, headers=KEY)
        until(lambda: database["idempotency"].find_one({"_id": {"$regex": f"^{user.user_id}#"}}))
        second = user.http.post(ADJUST, json=body, headers=KEY)
        assert not first.done()
    assert code(second) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert second.headers["retry-after"] == "1"
    assert_replayed(first.result(), user.http.post(ADJUST, json=body, headers=KEY))


def test_a_request_whose_function_died_is_taken_over_with_its_job(
    user: Any, stack: Stack, database: Database[Any]
) -> None:
    body = slow(use_container=True, wait_for_result=True)
    whose = {"_id": {"$regex": f"^{user.user_id}#"}}
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(user.http.post, ADJUST, json=body, headers=KEY)
        job = until(lambda: database["computeTasks"].find_one({"userId": user.user_id}))
        for pid in stack.pids["workers"]["AdjustFunction"]:
            os.kill(pid, signal.SIGKILL)
    assert first.result().status_code == 500
    until(lambda: "AdjustFunction" not in stack.pids["workers"])  # one that is about to die takes no request
    assert code(user.http.post(ADJUST, json=body, headers=KEY)) == (409, "IDEMPOTENCY_IN_PROGRESS")
    # Let the time pass that the function may run.
    database["idempotency"].update_one(whose, {"$set": {"claimedUntil": datetime.now(UTC) - timedelta(seconds=1)}})
    again = user.http.post(ADJUST, json=body, headers=KEY)
    assert again.is_success
    assert "idempotency-replayed" not in again.headers
    assert [item["job_id"] for item in user.http.get("/compute-tasks").json()["items"]] == [job["_id"]]
