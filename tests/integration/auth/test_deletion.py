"""What is large goes outside the transaction that deletes a user, and whatever fails then is gone on with."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import EndpointConnectionError
from pydantic import SecretStr
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from studio import storage
from studio.auth import deletion, repository, service
from studio.auth.models import DeleteUserRequest, RegisterRequest
from studio.caller import Caller
from studio.indexes import create_indexes
from studio.mongo import get_collection

PASSWORD = "correct horse battery"
ADDRESS = "203.0.113.7"


@pytest.fixture
def user_id(database: Database[dict[str, Any]], configure: Callable[..., None]) -> str:
    configure(REGISTRATION="open", MONGODB_TIMEOUT_MS="25000")
    create_indexes(database)
    user_id = service.register(RegisterRequest(email="ada@example.com", password=SecretStr(PASSWORD)), ADDRESS).user_id
    for number in range(20):
        database["minimaticsProjects"].insert_one({"_id": f"prj_{number}", "userId": user_id, "film": "x" * 100_000})
        database["idempotency"].insert_one({"_id": f"{user_id}#{number}", "answer": "x" * 100_000})
    return user_id


def delete(user_id: str) -> None:
    caller = Caller(user_id=user_id, key_id="key_1", scopes=frozenset({"grade"}))
    service.delete_user(caller, DeleteUserRequest(password=SecretStr(PASSWORD)), ADDRESS)


def large(database: Database[dict[str, Any]]) -> list[int]:
    return [database[name].count_documents({}) for name in repository.LARGE]


def test_the_transaction_has_nothing_that_may_take_long(database: Database[dict[str, Any]], user_id: str) -> None:
    assert repository.delete_user(user_id, datetime.now(UTC))
    assert large(database) == [20, 20, 0]


def test_nothing_large_is_left_when_a_deletion_is_answered(database: Database[dict[str, Any]], user_id: str) -> None:
    delete(user_id)
    assert large(database) == [0, 0, 0]
    assert database["deletedUsers"].count_documents({"_id": user_id}) == 1


def test_what_there_was_no_time_for_is_swept(
    database: Database[dict[str, Any]], user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out_of_time(name: str) -> Any:
        if name in repository.LARGE:
            raise ExecutionTimeout("operation exceeded time limit")
        return get_collection(name)

    with monkeypatch.context() as patch:
        patch.setattr(repository, "get_collection", run_out_of_time)
        delete(user_id)
    assert database["users"].count_documents({}) == 0
    assert large(database) == [20, 20, 0]
    monkeypatch.setattr(storage, "list_objects", lambda *_: [])
    deletion.sweep()
    assert large(database) == [0, 0, 0]


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url="https://s3.test"), GetParameterError("the store's secret")]
)
def test_what_holds_up_one_user_holds_up_no_other(
    database: Database[dict[str, Any]],
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_: object) -> Any:
        raise error

    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    for user_id in ("usr_1", "usr_2"):
        database["deletedUsers"].insert_one({"_id": user_id, "deletedAt": long_ago, "sweptAt": long_ago})
        database["toneMappingCache"].insert_one({"_id": user_id, "userId": user_id})
    monkeypatch.setattr(storage, "list_objects", fail)
    assert deletion.sweep() == 0
    assert database["toneMappingCache"].count_documents({}) == 0
    assert database["deletedUsers"].count_documents({"sweptAt": long_ago}) == 0
    assert database["deletedUsers"].count_documents({}) == 2
