"""A user is deleted with all that is theirs, whatever is killed meanwhile."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pymongo
import pytest
from PIL import Image
from pymongo.database import Database

from local.stack import Stack
from studio.auth.models import ApiKey, User
from studio.auth.repository import OWNED
from studio.compute_tasks.models import Job
from studio.documents import new_id, utc_now
from studio.object_keys import upload_key
from studio.tone_mapping.presets.models import Preset
from tests.waiting import SECONDS

NOW = datetime.now(UTC)


@pytest.fixture
def studio_database(stack: Stack) -> Iterator[Database[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri, tz_aware=True) as client:
        yield client["studio"]


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def put(stack: Stack, user_id: str, *pictures: bytes) -> list[str]:
    """Store uploads of a user's, and return their keys."""
    s3 = stack.client("s3")
    keys = [upload_key(user_id, f"upl_{number:024x}") for number in range(len(pictures))]
    for key, data in zip(keys, pictures, strict=True):
        s3.put_object(Bucket=stack.bucket_name, Key=key, Body=data)
    return keys


def objects(stack: Stack, user_id: str) -> list[str]:
    return list_objects(stack.client("s3"), stack, user_id)


def list_objects(s3: Any, stack: Stack, user_id: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=stack.bucket_name)
    return [item["Key"] for page in pages for item in page.get("Contents", []) if user_id in item["Key"]]


def documents(database: Database[dict[str, Any]], user_id: str) -> set[str]:
    """Names of the collections with a document that speaks of a user, in whatever field."""
    return {
        name
        for name in database.list_collection_names()
        if any(user_id in str(document) for document in database[name].find())
    }


def sweep(stack: Stack) -> None:
    answer = stack.client("lambda").invoke(FunctionName="SweepDeletedUsersFunction")
    assert "FunctionError" not in answer, answer["Payload"].read()


def is_authorized(stack: Stack, api_key: str) -> bool:
    context = {"requestId": "request-1", "http": {"sourceIp": "203.0.113.7"}}
    payload = json.dumps({"identitySource": [api_key], "requestContext": context})
    answer = stack.client("lambda").invoke(FunctionName="AuthorizeRequestFunction", Payload=payload)
    allowed: bool = json.load(answer["Payload"])["isAuthorized"]
    return allowed


def delete(http: httpx.Client, password: str) -> httpx.Response:
    return http.request("DELETE", "/auth/me", json={"password": password})


def make_everything(stack: Stack, user: Any) -> None:
    """Leave something of a user's in every collection, and objects of every kind."""
    http = user.http
    keys = put(stack, user.user_id, picture(60), picture(61))
    again = {"Idempotency-Key": "once"}
    preset = {"name": "Mine", "adjustments": {"exposure": 1}}
    http.post("/tone-mapping/presets", json=preset, headers=again).raise_for_status()
    adjust = {"image_key": keys[0], "adjustments": {"exposure": 1}, "output": {"delivery": "url"}}
    http.post("/tone-mapping/adjust", json=adjust).raise_for_status()
    film = {"size": "720p", "fps": 24, "shots": [{"image_key": keys[0], "duration_frames": 24}]}
    project_id = http.post("/minimatics/projects", json=film).raise_for_status().json()["project_id"]
    http.put(f"/minimatics/projects/{project_id}", json=film).raise_for_status()
    bulk = {"image_keys": keys, "task_type": "adjust", "parameters": {"adjustments": {"exposure": 1}}}
    job_id = http.post("/tone-mapping/bulk", json=bulk).raise_for_status().json()["job_id"]
    deadline = time.monotonic() + SECONDS
    while http.get(f"/compute-tasks/{job_id}/status").json()["status"] != "COMPLETED":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_user_is_deleted_with_all_that_is_theirs(
    stack: Stack, user: Any, anonymous: httpx.Client, studio_database: Database[dict[str, Any]]
) -> None:
    login = {"email": "other-" + user.email, "password": user.password}
    other_id = anonymous.post("/auth/register", json=login).raise_for_status().json()["user_id"]
    put(stack, other_id, picture(1))
    make_everything(stack, user)
    assert documents(studio_database, user.user_id) == OWNED.keys(), "the test makes something of every kind"
    assert {key.split("/")[2] for key in objects(stack, user.user_id)} == {"uploads", "results", "jobs"}

    assert delete(user.http, user.password).status_code == 204

    left = {"deletedUsers", "minimaticsProjectVersions", "bulkItems", "computeTasks"}
    assert documents(studio_database, user.user_id) == left
    assert not is_authorized(stack, user.api_key)
    again = anonymous.post("/auth/login", json={"email": user.email, "password": user.password})
    assert (again.status_code, again.json()["error"]["code"]) == (401, "INVALID_CREDENTIALS")
    # The gateway still has the authorizer's answer: what is written with it goes with the next sweep.
    assert user.http.get("/auth/me").json()["error"]["code"] == "USER_NOT_FOUND"
    user.http.post("/tone-mapping/presets", json={"name": "Late", "adjustments": {}}).raise_for_status()
    assert user.http.post("/auth/api-keys", json={"name": "late"}).json()["error"]["code"] == "KEY_ENDED"

    sweep(stack)

    assert documents(studio_database, user.user_id) == {"deletedUsers"}
    assert objects(stack, user.user_id) == []
    assert documents(studio_database, other_id) == {"users"}
    assert len(objects(stack, other_id)) == 1
    anonymous.post("/auth/register", json={"email": user.email, "password": user.password}).raise_for_status()


def test_a_deletion_ends_when_nothing_can_come_any_more(
    stack: Stack, user: Any, studio_database: Database[dict[str, Any]]
) -> None:
    form = user.http.post("/uploads", json={"content_type": "image/png"}).json()
    assert delete(user.http, user.password).status_code == 204
    sweep(stack)
    httpx.post(form["url"], data=form["fields"], files={"file": picture(1)}).raise_for_status()  # the URL still works
    assert objects(stack, user.user_id) == [form["image_key"]]
    sweep(stack)
    assert objects(stack, user.user_id) == []

    for hours, left in [(1.9, 1), (2.1, 0)]:
        moved = {"$set": {"deletedAt": datetime.now(UTC) - timedelta(hours=hours)}}
        studio_database["deletedUsers"].update_one({"_id": user.user_id}, moved)
        sweep(stack)
        assert studio_database["deletedUsers"].count_documents({"_id": user.user_id}) == left


def test_the_wrong_password_deletes_nothing(stack: Stack, user: Any, studio_database: Database[dict[str, Any]]) -> None:
    answer = delete(user.http, "a wrong password")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_CREDENTIALS")
    assert documents(studio_database, user.user_id) == {"users", "apiKeys"}
    assert is_authorized(stack, user.api_key)


def test_what_runs_for_a_user_is_stopped(stack: Stack, user: Any, studio_database: Database[dict[str, Any]]) -> None:
    keys = put(stack, user.user_id, *map(picture, range(40)))
    bulk = {"image_keys": keys, "task_type": "adjust", "parameters": {"adjustments": {}}, "concurrency": 1}
    job_id = user.http.post("/tone-mapping/bulk", json=bulk).raise_for_status().json()["job_id"]
    found = studio_database["computeTasks"].find_one({"_id": job_id})
    assert found

    assert delete(user.http, user.password).status_code == 204
    cancelled = studio_database["computeTasks"].find_one({"_id": job_id})
    assert cancelled
    assert cancelled["status"] == "CANCELLED"
    sweep(stack)

    execution = stack.client("stepfunctions").describe_execution(executionArn=found["executionArn"])
    assert execution["status"] == "ABORTED"
    deadline = time.monotonic() + SECONDS
    while objects(stack, user.user_id) or documents(studio_database, user.user_id) != {"deletedUsers"}:
        assert time.monotonic() < deadline, "what the last image still wrote is swept, too"
        sweep(stack)


def start(stack: Stack, code: str, database: str = "studio") -> "subprocess.Popen[str]":
    """Start Python with what a function has; it says so once it is ready, and begins when it is told."""
    environment = {
        "PATH": os.environ["PATH"],
        "MONGODB_URI": stack.mongodb_uri,
        "MONGODB_DATABASE": database,
        "BUCKET_NAME": stack.bucket_name,
        "AWS_ENDPOINT_URL": stack.aws_endpoint_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "Studio",
        "POWERTOOLS_SERVICE_NAME": "studio",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def tell(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_sweep_that_is_killed_is_gone_on_with(stack: Stack, studio_database: Database[dict[str, Any]]) -> None:
    user_id, total = new_id("usr"), 300
    put(stack, user_id, *[b"pixels"] * total)
    database = studio_database.client[user_id]  # of its own: once a minute, the stack sweeps in its own database
    database["deletedUsers"].insert_one({"_id": user_id, "deletedAt": NOW, "sweptAt": NOW})
    code = (
        "from studio.auth import deletion\n"
        "from studio.mongo import get_database\n"
        "get_database().command('ping')\n"
        "deletion._PAGE = 2\n"
        "print('ready', flush=True); input()\n"
        "deletion.sweep()\n"
    )
    process = start(stack, code, database.name)
    s3 = stack.client("s3")
    tell(process)
    deadline = time.monotonic() + SECONDS
    while len(list_objects(s3, stack, user_id)) == total:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = len(objects(stack, user_id))
    assert 0 < left < total, "it was killed in between"
    assert database["deletedUsers"].find_one({"_id": user_id})

    process = start(stack, code, database.name)
    tell(process)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert objects(stack, user_id) == []


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 6, 8, 10, 15, 20, 30, 60])
def test_a_deletion_that_is_killed_is_whole_or_none(
    stack: Stack, studio_database: Database[dict[str, Any]], milliseconds: int
) -> None:
    user_id, count, now = new_id("usr"), 500, utc_now()  # the clean-up fails a job that has waited for long
    user = User(id=user_id, email=f"{user_id}@example.com", password_hash="-", scopes=["grade"], created_at=NOW)
    key = ApiKey(
        id=new_id("key"), user_id=user_id, prefix=user_id, secret_hash="-", name="-", scopes=[], created_at=NOW
    )
    preset = Preset(
        id="", user_id=user_id, name="-", description="", adjustments={}, lut_size=None, created_at=NOW, updated_at=NOW
    )
    job = Job(
        id=new_id("job"),
        user_id=user_id,
        key_id=key.id,
        scopes=[],
        task_type="adjust",
        target="LAMBDA",
        payload={},
        created_at=now,
        queued_at=now,
        expires_at=now + timedelta(days=1),
    )
    studio_database["users"].insert_one(user.to_mongo())
    studio_database["apiKeys"].insert_one(key.to_mongo())
    studio_database["computeTasks"].insert_one(job.to_mongo())
    presets = [preset.model_copy(update={"id": new_id("pre")}).to_mongo() for _ in range(count)]
    studio_database["toneMappingPresets"].insert_many(presets)
    process = start(
        stack,
        "from datetime import UTC, datetime\n"
        "from studio.auth import repository\n"
        "from studio.mongo import get_database\n"
        "get_database().command('ping')\n"
        "print('ready', flush=True); input()\n"
        f"repository.delete_user('{user_id}', datetime.now(UTC))\n",
    )
    tell(process)
    time.sleep(milliseconds / 1000)  # when it is killed is what is varied
    process.send_signal(signal.SIGKILL)
    process.communicate()

    # A snapshot: a transaction that the server has not ended yet is not seen.
    with studio_database.client.start_session() as session, session.start_transaction():
        left = {
            "users": studio_database["users"].count_documents({"_id": user_id}, session=session),
            "apiKeys": studio_database["apiKeys"].count_documents({"userId": user_id}, session=session),
            "presets": studio_database["toneMappingPresets"].count_documents({"userId": user_id}, session=session),
            "record": studio_database["deletedUsers"].count_documents({"_id": user_id}, session=session),
            "queued": studio_database["computeTasks"].count_documents(
                {"userId": user_id, "status": "QUEUED"}, session=session
            ),
        }
    assert left in (
        {"users": 1, "apiKeys": 1, "presets": count, "record": 0, "queued": 1},
        {"users": 0, "apiKeys": 0, "presets": 0, "record": 1, "queued": 0},
    )
