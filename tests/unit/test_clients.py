"""Clients of AWS: whatever does not answer, a function of the API is there to say so."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from samtranslator.yaml_helper import yaml_parse

from studio import settings, storage
from studio.compute_tasks import callbacks, dispatch
from studio.mongo import MongoSettings
from studio.settings import Settings

ROOT = Path(__file__).parents[2]
SOON = 6.0  # what is down is told by then


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    makers: list[Any] = [settings._secrets, storage._connect, callbacks.get_queue, dispatch._steps, dispatch._client]

    def forget() -> None:
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
        for maker in makers:
            maker.cache_clear()

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("BUCKET_NAME", "unused")
    forget()
    yield {
        "secretsmanager": settings._secrets().client,
        "s3": storage._client(),
        "sqs": callbacks.get_queue(),
        "stepfunctions": dispatch._steps(),
        "lambda": dispatch._client(5),
    }
    forget()


def test_there_are_no_others(clients: dict[str, Any]) -> None:
    sources = [path.read_text() for path in (ROOT / "layers").rglob("*.py")]
    made = [name for text in sources for name in re.findall(r'boto3\.client\(\s*"(\w+)"|(SecretsProvider)\(', text)]
    assert sorted("".join(name).replace("SecretsProvider", "secretsmanager") for name in made) == sorted(clients)


def test_one_that_gets_no_answer_leaves_time_for_ours(clients: dict[str, Any]) -> None:
    """And for MongoDB, which may be away as well."""
    timeout = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"]["Timeout"]
    mongodb = MongoSettings.model_fields["mongodb_timeout_ms"].default / 1000
    for name, client in clients.items():
        config = client.meta.config
        attempts = config.retries["total_max_attempts"]
        pauses = sum(2**number for number in range(attempts - 1))  # at most: they are drawn
        longest = attempts * (config.connect_timeout + config.read_timeout) + pauses
        assert longest + mongodb <= timeout, name


class SilentStore:
    """Takes requests; the first few it does not answer, or hangs up on, and those behind it does."""

    def __init__(self, silent: float, *, hangs_up: bool) -> None:
        self.silent, self.hangs_up, self.taken, self._held = silent, hangs_up, 0, list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self.taken += 1
                self._held.append(connection)  # else it would be closed
                if self.hangs_up and self.taken <= self.silent:
                    connection.close()
                if self.taken > self.silent:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")

    def close(self) -> None:
        for open_socket in (self._listener, *self._held):
            open_socket.close()


@pytest.fixture
def silent_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SilentStore]]:
    """Make a store that does not answer, and let `studio.storage` use it."""
    made = []

    def make(silent: float = float("inf"), *, hangs_up: bool = False) -> SilentStore:
        made.append(SilentStore(silent, hangs_up=hangs_up))
        monkeypatch.setenv("AWS_ENDPOINT_URL", made[-1].url)
        return made[-1]

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("BUCKET_NAME", "bucket")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    storage._connect.cache_clear()
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    yield make
    for store in made:
        store.close()
    storage._connect.cache_clear()
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]


def test_a_store_that_takes_requests_and_never_answers_is_given_up_soon(
    silent_store: Callable[..., SilentStore],
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "head": lambda: storage.get_size("key"),
        "list": lambda: list(storage.list_objects("prefix", 10)),
        "get": lambda: storage.read("key", 10),
        "put": lambda: storage.write("key", b"small", "image/jpeg", {"kind": "result"}),
        "put what fills its buffers": lambda: storage.write("key", bytes(30_000_000), "image/jpeg", {"kind": "result"}),
        "delete": lambda: storage.delete("key"),
        "delete many": lambda: storage.delete_many(["key"]),
        "look at it": storage.check,
    }

    def give_up(call: Callable[[], object]) -> float:
        started = time.monotonic()
        with pytest.raises(BotoCoreError):
            call()
        return time.monotonic() - started

    store = silent_store()
    storage._client()
    with ThreadPoolExecutor(len(calls)) as pool:
        seconds = dict(zip(calls, pool.map(give_up, calls.values()), strict=True))
    assert store.taken >= len(calls)
    assert max(seconds.values()) < SOON, seconds


@pytest.mark.parametrize(("patient", "tries"), [("false", 1), ("true", 3)])
def test_what_nobody_waits_for_asks_again(
    silent_store: Callable[..., SilentStore], monkeypatch: pytest.MonkeyPatch, patient: str, tries: int
) -> None:
    monkeypatch.setenv("STORAGE_PATIENT", patient)
    for name, seconds in {"_READ_SECONDS": 0.5, "_PATIENT_READ_SECONDS": 0.5, "_RETRY_SECONDS": 0.4}.items():
        monkeypatch.setattr(storage, name, seconds)
    store = silent_store(silent=2)
    if tries == 1:
        with pytest.raises(BotoCoreError):
            storage.get_size("key")
    else:
        assert storage.get_size("key") == 5
    assert store.taken == tries


def test_a_connection_that_was_cut_is_made_again(silent_store: Callable[..., SilentStore]) -> None:
    store = silent_store(silent=1, hangs_up=True)
    assert storage.get_size("key") == 5
    assert store.taken == 2
