"""The MongoDB client against a real server and the embedded Secrets Manager."""

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from local.stack import Stack
from studio import mongo
from studio.errors import UnavailableError
from studio.settings import Settings, forget_secrets


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
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.aws_endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
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
