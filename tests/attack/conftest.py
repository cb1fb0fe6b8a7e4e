"""What the attacks share: a client that counts, and a watch over what a worker takes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests import tally

IS_FULL = os.environ.get("ATTACK") == "full"


@pytest.fixture
def attacker(user: Any) -> Iterator[Any]:
    """The user, each of whose requests is counted."""

    def count(response: httpx.Response) -> None:
        tally.counts[tally.TRIED] += 1
        tally.counts[tally.SERVER_ERRORS] += response.status_code >= 500

    user.http.event_hooks["response"].append(count)
    yield user
    user.http.event_hooks["response"].remove(count)


def is_refusal(answer: httpx.Response) -> bool:
    """Whether an answer is a clear 4xx: a function's envelope with a code, or the gateway's message."""
    if not 400 <= answer.status_code < 500:
        return False
    body = answer.json()
    return bool(body.get("message") or (body["error"]["code"] and body["error"]["message"] and body["request_id"]))


@dataclass
class Taken:
    """What a request took of the worker that served it.

    Attributes
    ----------
    cpu_seconds
        Of all its threads.
    memory_mb
        Its largest resident set since the watch began.
    """

    cpu_seconds: float
    memory_mb: float


class Watch:
    """Watches the workers of a function, which serve one request at a time here."""

    def __init__(self, stack: Stack, function: str) -> None:
        self._stack, self._function = stack, function
        self._before = self._cpu()

    def taken(self) -> Taken:
        """Return what was taken since the last time."""
        now = self._cpu()
        spent = sum(now.values()) - sum(self._before.get(pid, 0) for pid in now)
        self._before = now
        peaks = [_status(pid, "VmHWM") for pid in now]
        for pid in now:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins again
        return Taken(spent, max(peaks, default=0) / 1024)

    def _cpu(self) -> dict[int, float]:
        ticks = os.sysconf("SC_CLK_TCK")
        found = {}
        for pid in self._stack.pids["workers"].get(self._function, []):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid] = (int(fields[11]) + int(fields[12])) / ticks
        return found


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)
