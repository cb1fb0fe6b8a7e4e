from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from studio import mongo
from studio.settings import Settings

Configure = Callable[..., None]


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
