import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from tests.waiting import until

EVENTS = Path(__file__).parent / "fixture" / "events.yaml"


class Records:
    """What the functions of fixture/events.yaml were invoked with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, function: str) -> list[dict[str, Any]]:
        """Return the records of a function until now."""
        return [json.loads(file.read_text()) for file in sorted((self.folder / function).glob("*.json"))]

    def wait(self, function: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many records of a function."""
        until(lambda: len(self.of(function)) >= count)
        return self.of(function)

    def clear(self) -> None:
        """Forget all records."""
        for folder in self.folder.iterdir():
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def event_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The embedded stack of fixture/events.yaml."""
    with Stack(template=EVENTS, parameters={"Records": str(tmp_path_factory.mktemp("records"))}) as running:
        yield running


@pytest.fixture
def records(event_stack: Stack) -> Records:
    """Return the records of the test's own; what earlier tests left is forgotten."""
    records = Records(Path(event_stack.functions["WorkFunction"].environment["RECORDS"]))
    under_way = {f"{function}-event" for function in event_stack.functions}
    # Else an event of an earlier test would be written while all are deleted, or after it.
    until(lambda: under_way.isdisjoint(thread.name for thread in threading.enumerate()))
    records.clear()
    return records
