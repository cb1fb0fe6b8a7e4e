"""The MongoDB client against a real server and the embedded Secrets Manager."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
import pytest
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from local.stack import Stack
from studio import mongo
from studio.errors import UnavailableError
from studio.settings import Settings, forget_secrets
from tests.integration.conftest import aws_of


@pytest.fixture
def environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Set the embedded stack's environment; what the module caches is dropped before and after."""

    def forget() -> None:
        mongo.get_database.cache_clear()
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
        forget_secrets()

    forget()
    for name in ("MONGODB_URI", "MONGODB_SECRET_ARN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in aws_of(stack).items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    forget()


def test_mongodb_that_is_not_configured_is_unavailable(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="MONGODB_SECRET_ARN"):
        mongo.get_database()


def test_a_rotated_password_is_read_anew_after_one_refusal(environment: pytest.MonkeyPatch, stack: Stack) -> None:
    def uri(password: str) -> str:
        return stack.mongodb_uri.replace("mongodb://", f"mongodb://rotated:{password}@") + "&authSource=admin"

    secrets = stack.client("secretsmanager")
    arn = secrets.create_secret(Name="rotated", SecretString=uri("old"))["ARN"]
    environment.setenv("MONGODB_SECRET_ARN", arn)
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as admin:
        admin.admin.command("createUser", "rotated", pwd="new", roles=["readWriteAnyDatabase"])
    with pytest.raises(OperationFailure, match="Authentication failed"):
        mongo.get_database().command("ping")

    secrets.put_secret_value(SecretId=arn, SecretString=uri("new"))
    assert mongo.get_database().command("ping")["ok"] == 1


@contextmanager
def left_open(uri: str, database: Database[dict[str, Any]], appname: str) -> Iterator[ClientSession]:
    """Begin what `insert_within` does, and go no further: as a process that was killed, or whose server hung."""
    with pymongo.MongoClient[dict[str, Any]](uri, appname=appname) as client, client.start_session() as session:
        session.start_transaction()
        lock = {"_id": "usr_1#things"}
        client[database.name]["locks"].update_one(lock, {"$inc": {"turns": 1}}, session=session)
        client[database.name]["things"].insert_one({"_id": "half"}, session=session)
        yield session


def insert(number: int) -> bool:
    return mongo.insert_within(10, "usr_1", "things", {"_id": number}, {})


def test_a_transaction_that_was_left_open_is_ended_by_who_is_stuck_behind_it(
    configure: Callable[..., None], database: Database[dict[str, Any]], mongod: str
) -> None:
    configure(MONGODB_TIMEOUT_MS="2000")
    assert insert(1)
    with left_open(mongod, database, "studio") as session:
        began = time.monotonic()
        with pytest.raises(PyMongoError):  # as long as it may be one that goes on
            insert(2)
        assert insert(2)
        assert time.monotonic() - began < 10
        assert insert(3)
        with pytest.raises(OperationFailure, match="aborted"):
            session.commit_transaction()
    assert [found["_id"] for found in database["things"].find()] == [1, 2, 3]


def test_a_transaction_of_another_application_is_left_alone(
    configure: Callable[..., None], database: Database[dict[str, Any]], mongod: str
) -> None:
    configure(MONGODB_TIMEOUT_MS="2000")
    assert insert(1)
    with left_open(mongod, database, "another") as session:
        for _ in range(2):
            with pytest.raises(PyMongoError):
                insert(2)
        session.commit_transaction()
    assert insert(2)
    assert [found["_id"] for found in database["things"].find()] == [1, "half", 2]
