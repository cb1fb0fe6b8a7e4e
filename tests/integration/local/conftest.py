import time
from collections.abc import Callable
from typing import Any

import pytest

WaitUntil = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def wait_until() -> WaitUntil:
    """Return a function that polls a condition and returns its first true value."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 20
        while not (value := condition()):
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.02)
        return value

    return wait
