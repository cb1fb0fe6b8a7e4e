from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from local.lambda_runtime import CREDENTIALS
from local.stack import Stack
from local.template import REGION
from studio import mongo
from studio.settings import Settings

Configure = Callable[..., None]


def aws_of(stack: Stack) -> dict[str, str]:
    """Return the environment by which boto3 finds a stack's AWS."""
    return {"AWS_ENDPOINT_URL": stack.aws_endpoint_url, "AWS_DEFAULT_REGION": REGION, **CREDENTIALS}


@pytest.fixture
def configure(database: Database[dict[str, Any]], mongod: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Set the environment of the studio package; what it caches is dropped before and after."""

    def forget() -> None:
        mongo.get_database.cache_clear()
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]

    def apply(**variables: str) -> None:
        for name, value in ({"MONGODB_URI": mongod, "MONGODB_DATABASE": database.name} | variables).items():
            monkeypatch.setenv(name, value)
        forget()

    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Studio")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "studio")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.setenv("BUCKET_NAME", "unused")
    monkeypatch.delenv("TASK_WORKER_FUNCTION", raising=False)
    apply()
    yield apply
    monkeypatch.undo()
    forget()
