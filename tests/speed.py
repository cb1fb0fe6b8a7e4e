"""CPU time of what runs in the tests' own process, where threads of the stack and the garbage collector take some, too.

Limits are for a machine like the one that they were found on: a slower one, or one at other work, has as much more time
as it takes for a fixed piece of work.
"""

import time
from collections.abc import Callable

TIMES = 3
_YARDSTICK_SECONDS = 0.03


def assert_quick(action: Callable[[], object], seconds: float) -> None:
    """Fail where an action never takes less: the first of some times that does is enough, for others only add to it."""
    taken: list[float] = []
    while len(taken) < TIMES:
        taken.append(_spent(action) / slowness())
        if taken[-1] < seconds:
            return
    raise AssertionError(f"it takes {min(taken):.2g} s of CPU; it should be less than {seconds:.2g} s")


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return what an action takes: the least of some times."""
    return min(_spent(action) for _ in range(TIMES)) / slowness()


def slowness() -> float:
    """Return how many times as long as there this machine takes now; one where it is quicker."""
    return max(1.0, min(_spent(_work) for _ in range(TIMES)) / _YARDSTICK_SECONDS)


def _spent(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def _work() -> None:
    found: dict[int, str] = {}
    for number in range(100_000):
        found[number % 1000] = f"{number}"
