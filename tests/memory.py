"""Memory of what runs in the tests' own process, where threads of the stack take some, too."""

import tracemalloc
from collections.abc import Callable

TIMES = 3


def peak_bytes(action: Callable[[], object]) -> int:
    """Return what an action takes at most at once: the least of some times, for other threads can only add to it."""
    peaks = []
    for _ in range(TIMES):
        tracemalloc.start()
        try:
            action()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)
