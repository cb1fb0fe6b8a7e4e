"""What the attacks of a run came to, printed at its end."""

from collections import Counter

TRIED, SERVER_ERRORS = "inputs tried", "5xx seen"
LOST, REACHED, TOLD = "data lost", "foreign objects reached", "secrets told"

counts: Counter[str] = Counter()


def lines() -> list[str]:
    """Return a line a count, the expected zeros among them; nothing where nothing was tried."""
    names = (TRIED, SERVER_ERRORS, LOST, REACHED, TOLD)
    return [f"{name}: {counts[name]:,}" for name in names] if counts[TRIED] else []
