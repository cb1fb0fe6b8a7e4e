"""Quotas on a real MongoDB: requests of a key, jobs of a user, what a user may have."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.database import Database

from studio.caller import Caller
from studio.compute_tasks import repository as jobs
from studio.compute_tasks import service as compute_tasks
from studio.compute_tasks.models import TaskOptions
from studio.documents import new_id
from studio.errors import StudioError
from studio.http import Handler, create_app, create_handler
from studio.mongo import get_database
from studio.quotas import count_request
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.models import AdjustRequest
from studio.tone_mapping.presets import service as presets
from studio.tone_mapping.presets.models import CreatePresetRequest
from tests.lambda_context import Context

CALLER = Caller(user_id="usr_" + "1" * 24, key_id="key_1", scopes=frozenset({"grade", "export"}))
THREADS = 20


@pytest.fixture
def handler() -> Handler:
    app = create_app()

    @app.get("/page")
    def page() -> dict[str, str]:
        return {"text": "hello"}

    return create_handler(app)


@pytest.fixture
def early() -> None:
    """Wait for a minute that has some seconds left: a test's requests are in one window."""
    while time.time() % 60 > 50:
        time.sleep(0.2)


def get(handler: Handler, path: str = "/page", key_id: str | None = "key_1") -> dict[str, Any]:
    context: dict[str, Any] = {"requestId": "request-1", "stage": "$default", "http": {"method": "GET", "path": path}}
    if key_id:
        context["authorizer"] = {"lambda": {"user_id": CALLER.user_id, "key_id": key_id, "scopes": "grade"}}
    event = {"version": "2.0", "rawPath": path, "headers": {}, "requestContext": context, "isBase64Encoded": False}
    answer = handler(event, Context())  # type: ignore[arg-type]
    return answer | {"headers": {name.lower(): value for name, value in answer["headers"].items()}}


@pytest.mark.usefixtures("early")
def test_a_key_has_so_many_requests_a_minute(
    handler: Handler, configure: Callable[..., None], database: Database[dict[str, Any]]
) -> None:
    configure(REQUESTS_PER_MINUTE="3")
    answers = [get(handler, path) for path in ("/page", "/nowhere", "/page", "/page", "/page")]
    assert [answer["statusCode"] for answer in answers] == [200, 404, 200, 429, 429]
    left = [re.fullmatch(r'"key";r=(\d+);t=(\d+)', answer["headers"]["ratelimit"]) for answer in answers]
    assert [match and int(match[1]) for match in left] == [2, 1, 0, 0, 0]
    assert {answer["headers"]["ratelimit-policy"] for answer in answers} == {'"key";q=3;w=60'}
    refused = answers[-1]
    body = json.loads(refused["body"])
    assert (body["error"]["code"], body["request_id"]) == ("TOO_MANY_REQUESTS", "request-1")
    assert refused["headers"]["content-type"] == "application/json"
    assert left[-1]
    assert refused["headers"]["retry-after"] == left[-1][2]
    assert 0 < int(left[-1][2]) <= 60
    assert get(handler, key_id="key_2")["statusCode"] == 200, "another key has its own"
    assert get(handler, key_id=None)["headers"].keys().isdisjoint({"ratelimit", "ratelimit-policy"})

    assert database["requestCounts"].count_documents({}) == 2


@pytest.mark.usefixtures("early")
def test_requests_at_once_are_all_counted(configure: Callable[..., None]) -> None:
    configure(MONGODB_TIMEOUT_MS="25000")
    get_database()
    with ThreadPoolExecutor(THREADS) as pool:
        quotas = list(pool.map(lambda _: count_request("key_3", 5), range(THREADS)))
    assert sorted(quota.used for quota in quotas) == list(range(1, THREADS + 1))
    assert [quota.is_exceeded for quota in quotas].count(False) == 5


@pytest.mark.usefixtures("configure")
def test_who_waits_as_long_as_told_is_in_the_next_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 118.6
    monkeypatch.setattr("studio.quotas.time", SimpleNamespace(time=lambda: now))
    wait = count_request("key_4", 1).seconds_left
    assert wait == 2
    now += wait
    assert count_request("key_4", 1).used == 1


def test_without_a_limit_nothing_is_counted(
    handler: Handler, configure: Callable[..., None], database: Database[dict[str, Any]]
) -> None:
    configure()
    answer = get(handler)
    assert answer["statusCode"] == 200
    assert "ratelimit" not in answer["headers"]
    assert "requestCounts" not in database.list_collection_names()


def test_a_quota_that_cannot_be_looked_at_is_a_503(handler: Handler, configure: Callable[..., None]) -> None:
    configure(REQUESTS_PER_MINUTE="3", MONGODB_URI="mongodb://127.0.0.1:1/", MONGODB_TIMEOUT_MS="300")
    answer = get(handler)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (503, "UNAVAILABLE")
    assert answer["headers"]["retry-after"] == "2"


@pytest.fixture
def limited(configure: Callable[..., None]) -> None:
    configure(CONCURRENT_JOBS="5", PRESETS_MAX="5", MONGODB_TIMEOUT_MS="25000")
    get_database()  # of which there is one before there are threads


def submit(job_id: str | None = None, caller: Caller = CALLER) -> str:
    """Return what a submission came to: a job's id, or a code."""
    try:
        request = AdjustRequest(image_key="any", adjustments=Adjustments(exposure=1))
        return compute_tasks.submit(caller, "adjust", request, TaskOptions(use_container=True), job_id).id
    except StudioError as error:
        return error.code


def at_once(action: Callable[[], str]) -> list[str]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda _: action(), range(THREADS)))


@pytest.mark.usefixtures("limited")
def test_a_user_has_so_many_jobs_at_once_whoever_starts_them(database: Database[dict[str, Any]]) -> None:
    outcomes = at_once(submit)
    started = [outcome for outcome in outcomes if outcome.startswith("job_")]
    assert outcomes.count("TOO_MANY_JOBS") == THREADS - 5
    assert {found["_id"] for found in database["computeTasks"].find()} == set(started)
    assert len(started) == 5
    assert submit(caller=CALLER.model_copy(update={"user_id": "usr_" + "2" * 24})).startswith("job_")

    assert submit(started[0]) == started[0], "one that is there already is no new one"
    compute_tasks.cancel(CALLER, started[1])
    assert submit().startswith("job_"), "one that is over leaves room"
    assert submit() == "TOO_MANY_JOBS"


@pytest.mark.usefixtures("limited")
def test_a_refused_job_says_when_to_come_again() -> None:
    for _ in range(5):
        submit()
    request = AdjustRequest(image_key="any", adjustments=Adjustments())
    with pytest.raises(StudioError) as refused:
        compute_tasks.submit(CALLER, "adjust", request, TaskOptions(use_container=True))
    assert (refused.value.status, refused.value.retry_after) == (429, 5)
    assert refused.value.message.startswith("you may have 5 jobs at once, and have as many")


@pytest.mark.usefixtures("configure")
def test_without_a_limit_jobs_are_not_counted(database: Database[dict[str, Any]]) -> None:
    assert all(submit().startswith("job_") for _ in range(7))
    assert "locks" not in database.list_collection_names()


@pytest.mark.usefixtures("limited")
def test_a_user_has_so_many_presets_however_many_are_made_at_once(database: Database[dict[str, Any]]) -> None:
    def create() -> str:
        try:
            return presets.create_preset(CALLER, CreatePresetRequest(name=new_id("x"), adjustments=Adjustments())).name
        except StudioError as error:
            return error.code

    assert at_once(create).count("TOO_MANY_PRESETS") == THREADS - 5
    assert database["toneMappingPresets"].count_documents({}) == 5


def test_a_job_that_is_there_already_is_found(limited: None, database: Database[dict[str, Any]]) -> None:
    job_id = submit()
    found = jobs.find_job(job_id)
    assert found
    assert not jobs.insert_job(found, limit=5)
    assert database["computeTasks"].count_documents({}) == 1
