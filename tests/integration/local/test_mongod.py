"""The database server keeps what it acknowledged, and comes back by itself."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from local.mongod import Mongod
from local.stack import Stack
from tests.waiting import SECONDS, until

Client = pymongo.MongoClient[dict[str, Any]]

pytestmark = pytest.mark.skipif("MONGODB_URI" in os.environ, reason="the server is not ours to kill")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    running = Mongod(tmp_path)
    running.start()
    running.wait()
    yield running
    running.stop(keep=False)


def test_what_was_acknowledged_survives_kill_9(server: Mongod) -> None:
    acknowledged: list[list[int]] = [[] for _ in range(3)]
    stop = threading.Event()

    def write(writer: int) -> None:
        with Client(server.uri, serverSelectionTimeoutMS=500) as client:
            numbers = client.test.get_collection("numbers", write_concern=WriteConcern(w="majority", j=True))
            number = writer
            while not stop.is_set():
                number += 10
                try:
                    numbers.insert_one({"_id": number})
                except PyMongoError:
                    continue
                acknowledged[writer].append(number)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            before = [len(numbers) for numbers in acknowledged]
            until(lambda before=before: all(len(n) > b + 50 for n, b in zip(acknowledged, before, strict=True)))
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
        before = [len(numbers) for numbers in acknowledged]
        until(lambda: all(len(n) > b for n, b in zip(acknowledged, before, strict=True)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    with Client(server.uri) as client:
        kept = {document["_id"] for document in client.test.numbers.find()}
    assert {number for numbers in acknowledged for number in numbers} <= kept


def test_files_are_kept_under_another_port(tmp_path: Path) -> None:
    ports = set()
    for _ in range(2):
        running = Mongod(tmp_path)
        running.start()
        running.wait()
        ports.add(running.uri)
        with Client(running.uri) as client:
            client.test.visits.insert_one({})
            visits = client.test.visits.count_documents({})
        running.stop(keep=True)
    assert len(ports) == 2
    assert visits == 2


def test_a_given_server_is_used_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://elsewhere.example")
    given = Mongod(tmp_path)
    given.start()
    given.wait()
    assert given.uri == "mongodb://elsewhere.example"
    assert given.pid is None
    given.stop(keep=False)


def test_the_stack_recovers_without_being_told(stack: Stack) -> None:
    user = {"email": "survivor@studio.example", "password": "correct horse battery"}
    with httpx.Client(base_url=stack.url, timeout=35) as http:
        assert http.post("/auth/register", json=user).status_code == 201
        killed = stack.pids["mongod"]
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while (answer := http.post("/auth/login", json=user)).status_code != 200:
            # Honest meanwhile: unavailable, not broken and not "wrong password".
            assert answer.status_code == 503, answer.text
            assert time.monotonic() < deadline
        assert stack.pids["mongod"] != killed
