"""What tests share: a real MongoDB server, a database of their own, the embedded stack."""

import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pymongo
import pytest
from pymongo.database import Database

from local.mongod import Mongod
from local.stack import Stack
from tests import leaks, tally

# On a busy machine an example may take any time, and so may making it.
hypothesis.settings.register_profile("studio", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("studio")


def pytest_sessionstart() -> None:
    """Begin to look at what is logged."""
    leaks.begin()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look for secrets in what a test's own process has printed and logged."""
    if report.when == "teardown":
        leaks.look(report.nodeid, "\n".join(text for _, text in report.sections).encode(errors="replace"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where logs tell secrets; the stacks are down by now."""
    leaks.look_at_logs()
    if leaks.found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which secrets were told, and what the attacks came to."""
    if leaks.found:
        terminalreporter.section("secrets in logs", red=True)
        for place, number in leaks.found.items():
            terminalreporter.line(f"{place}: {number:,}")
    if lines := tally.lines():
        terminalreporter.section("attacks")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Connection string of a real MongoDB server."""
    server = Mongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    try:
        server.wait()
        yield server.uri
    finally:
        server.stop(keep=False)


@pytest.fixture
def database(mongod: str) -> Iterator[Database[dict[str, Any]]]:
    """Return an empty database of the test's own."""
    with pymongo.MongoClient[dict[str, Any]](mongod, tz_aware=True) as client:
        name = f"test_{uuid.uuid4().hex}"
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The embedded stack of template.yaml: all tests come from one address, and short films have several segments.

    Schedules do not keep their time: a clean-up in the midst of a test would take what it looks for.
    """
    parameters = {"RegistrationsPerHour": "0", "LoginAddressFailures": "1000000", "ExportSegmentSeconds": "0.7"}
    with Stack(parameters=parameters, scheduled=False) as running:
        yield running
        leaks.planted.update(leaks.stored_secrets(running))


@pytest.fixture(scope="session")
def fixture_stack() -> Iterator[Stack]:
    """The embedded stack of the functions that test the stack itself."""
    template = Path(__file__).parent / "integration" / "local" / "fixture" / "template.yaml"
    with Stack(template=template) as running:
        yield running


@dataclass
class User:
    """A fresh user of the stack: a client that sends its key, and what it logs in with."""

    http: httpx.Client
    user_id: str
    email: str
    password: str
    api_key: str
    key_id: str


@pytest.fixture
def anonymous(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=40) as http:
        yield http


@pytest.fixture
def user(stack: Stack) -> Iterator[User]:
    with httpx.Client(base_url=stack.url, timeout=40) as http:
        login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
        registered = http.post("/auth/register", json=login).raise_for_status().json()
        key = http.post("/auth/login", json=login).raise_for_status().json()
        http.headers["X-API-KEY"] = key["api_key"]
        leaks.planted.update((login["password"], key["api_key"].rpartition("_")[2]))
        yield User(http, registered["user_id"], login["email"], login["password"], key["api_key"], key["key_id"])
