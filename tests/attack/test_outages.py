"""MongoDB and S3 away: every kind of route says so soon, loses nothing, and is back when they are."""

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import httpx
import pytest

from local import s3_signatures
from local.stack import Stack
from tests import tally
from tests.attack.test_bodies import store

# Beyond what the same requests take at once where nothing is away, for the machine may be slow; and the quickest round
# counts, for it may have other work.
SOON = 6.0
ROUNDS = 3
PRESET = {"name": "x", "adjustments": {"exposure": 1}}

Ask = Callable[[], httpx.Response]


@contextmanager
def stopped(pid: int | None) -> Iterator[None]:
    """Hold a process: it takes connections and says nothing."""
    assert pid, "MongoDB is not the stack's own"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def asks(http: httpx.Client, key: str, login: dict[str, str]) -> dict[str, Ask]:
    """Return a request of every kind that MongoDB has a part in."""
    project = {"name": "x", "shots": [{"image_key": key, "duration_frames": 5}]}
    photo = {"image_key": key, "adjustments": {"exposure": 1}}
    return {
        "log in": lambda: http.post("/auth/login", json=login),
        "make a key": lambda: http.post("/auth/api-keys", json={"name": "x", "scopes": ["grade"]}),
        "list jobs": lambda: http.get("/compute-tasks"),
        "start a job": lambda: http.post("/tone-mapping/adjust", json={**photo, "use_container": True}),
        "make a preset": lambda: http.post("/tone-mapping/presets", json=PRESET),
        "list presets": lambda: http.get("/tone-mapping/presets"),
        "make a project": lambda: http.post("/minimatics/projects", json=project),
        "list projects": lambda: http.get("/minimatics/projects"),
        "look at the cache": lambda: http.get("/tone-mapping/cache"),
        "once only": lambda: http.post("/tone-mapping/presets", json=PRESET, headers={"idempotency-key": "a-key"}),
    }


def comes_back(ask: Ask) -> bool:
    """Ask until it is answered, as often as the answer says to; MongoDB elects itself first.

    By itself it would keep what transactions had begun for a minute, if it hung meanwhile.
    """
    deadline = time.monotonic() + 120
    while (answer := ask()).status_code == 503 and time.monotonic() < deadline:
        time.sleep(int(answer.headers["retry-after"]))
    return answer.is_success


def at_once(wanted: dict[str, Ask]) -> dict[str, httpx.Response]:
    with ThreadPoolExecutor(len(wanted)) as pool:
        return dict(zip(wanted, pool.map(lambda ask: ask(), wanted.values()), strict=True))


def usual_seconds(wanted: dict[str, Ask]) -> float:
    """Return how long the last of some requests takes, all at once, where nothing is away."""
    return max(answer.elapsed.total_seconds() for answer in at_once(wanted).values())


def pids(stack: Stack) -> dict[str, list[int]]:
    workers: dict[str, list[int]] = stack.pids["workers"]
    return {name: list(found) for name, found in workers.items()}


def count(answers: list[httpx.Response]) -> None:
    tally.counts[tally.TRIED] += len(answers)


def test_without_mongodb_every_kind_of_route_is_a_503_and_comes_back(stack: Stack, user: Any) -> None:
    login = {"email": user.email, "password": user.password}
    wanted = asks(user.http, store(user.http), login)
    for name, ask in wanted.items():
        assert ask().is_success, name
    soon = SOON + usual_seconds(wanted)
    before = pids(stack)
    seconds: dict[str, float] = {}
    for _ in range(ROUNDS):
        with stopped(stack.pids["mongod"]):
            answers = at_once(wanted)
        count(list(answers.values()))
        for name, answer in answers.items():
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE"), name
            assert int(answer.headers["retry-after"]) >= 1, name
            assert "mongodb://" not in answer.text, name
            took = answer.elapsed.total_seconds()
            seconds[name] = min(took, seconds.get(name, took))
        for name, ask in wanted.items():
            assert comes_back(ask), f"{name} does not come back"
        if max(seconds.values()) < soon:
            break
    assert max(seconds.values()) < soon, seconds
    after = pids(stack)
    assert all(set(found) <= set(after[name]) for name, found in before.items()), "a worker was started again"


def test_a_picture_is_graded_without_the_cache(stack: Stack, user: Any) -> None:
    photo = {"image_key": store(user.http), "adjustments": {"exposure": 1}}
    user.http.post("/tone-mapping/adjust", json={**photo, "use_cache": False}).raise_for_status()
    with stopped(stack.pids["mongod"]):
        answer = user.http.post("/tone-mapping/adjust", json={**photo, "use_cache": False})
    assert answer.status_code == 200


def s3_asks(http: httpx.Client, key: str) -> dict[str, Ask]:
    photo = {"image_key": key, "use_cache": False}
    return {
        "grade an upload": lambda: http.post("/tone-mapping/auto-correct", json=photo),
        "list uploads": lambda: http.get("/uploads"),
        "delete an upload": lambda: http.delete(f"/uploads/{key.rpartition('/')[2]}"),
        "make a project": lambda: http.post(
            "/minimatics/projects", json={"name": "x", "shots": [{"image_key": key, "duration_frames": 5}]}
        ),
        "grade all uploads": lambda: http.post(
            "/tone-mapping/bulk", json={"all_uploads": True, "task_type": "auto_correct", "parameters": {}}
        ),
    }


def is_out_of_order(*_: Any) -> NoReturn:
    raise s3_signatures.Refusal(503, "SlowDown", "Please reduce your request rate.")


def hangs(*_: Any) -> NoReturn:
    time.sleep(30)
    raise AssertionError("nobody waits for this")


@pytest.mark.parametrize("how", [is_out_of_order, hangs])
def test_without_s3_every_kind_of_route_is_a_503_and_comes_back(
    stack: Stack, user: Any, monkeypatch: pytest.MonkeyPatch, how: Callable[..., NoReturn]
) -> None:
    wanted = s3_asks(user.http, store(user.http))
    some = {name: wanted[name] for name in ("grade an upload", "list uploads", "make a project")}
    for name, ask in some.items():
        assert ask().is_success, name
    soon = SOON + usual_seconds(some)
    seconds: dict[str, float] = {}
    for _ in range(ROUNDS):
        with monkeypatch.context() as away:
            away.setattr(s3_signatures, "check", how)
            answers = at_once(wanted)
        count(list(answers.values()))
        for name, answer in answers.items():
            assert (answer.status_code, answer.json().get("error", {}).get("code")) == (503, "UNAVAILABLE"), name
            assert int(answer.headers["retry-after"]) >= 1, name
            took = answer.elapsed.total_seconds()
            seconds[name] = min(took, seconds.get(name, took))
        if max(seconds.values()) < soon:
            break
    assert max(seconds.values()) < soon, seconds
    for name in ("grade an upload", "list uploads", "make a project", "delete an upload"):
        assert comes_back(wanted[name]), f"{name} does not come back"


def test_nothing_acknowledged_is_lost_while_mongodb_is_killed(stack: Stack, user: Any) -> None:
    kept: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with suppress(httpx.TransportError):
                body = {**PRESET, "name": secrets.token_hex(8)}
                answer = user.http.post("/tone-mapping/presets", json=body)
                tally.counts[tally.TRIED] += 1
                if answer.status_code == 201:
                    kept.append(answer.json()["preset_id"])

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write) for _ in range(3)]
        for _ in range(3):
            enough = len(kept) + 5
            deadline = time.monotonic() + 120
            while len(kept) < enough and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(stack.pids["mongod"], signal.SIGKILL)
        stop.set()
    for writer in writers:
        writer.result()
    assert comes_back(lambda: user.http.get("/tone-mapping/presets"))
    lost = [item for item in kept if user.http.get(f"/tone-mapping/presets/{item}").status_code != 200]
    tally.counts[tally.LOST] += len(lost)
    assert len(kept) >= 10
    assert not lost
