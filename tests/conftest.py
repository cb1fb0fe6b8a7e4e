"""What tests share: a real MongoDB server, a database of their own, the embedded stack."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from local.mongod import Mongod
from local.stack import Stack


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
    """The embedded stack of template.yaml."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def fixture_stack() -> Iterator[Stack]:
    """The embedded stack of the functions that test the stack itself."""
    template = Path(__file__).parent / "integration" / "local" / "fixture" / "template.yaml"
    with Stack(template=template) as running:
        yield running
