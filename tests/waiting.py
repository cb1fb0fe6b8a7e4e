"""Waiting for what other processes and threads do."""

import time
from collections.abc import Callable
from typing import Any

SECONDS = 240  # for what takes some on a busy machine


def until(condition: Callable[..., Any], seconds: float = SECONDS) -> Any:
    """Return the first true value of a condition, which is asked again and again; one that takes longer is a failure.

    Parameters
    ----------
    condition : callable
        Takes no arguments.
    seconds : float
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"the condition did not come true in {seconds:g} s"
        time.sleep(0.02)
    return value
