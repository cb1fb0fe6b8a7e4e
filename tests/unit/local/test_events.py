from typing import Any

import pytest

from local.events import matches

EVENT = {
    "source": "aws.states",
    "detail": {"status": "FAILED", "name": "job-1", "count": 1, "tags": ["a", "b"], "error": None},
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"source": ["aws.batch", "aws.states"]}, True),
        ({"source": ["aws.batch"]}, False),
        ({"source": ["aws.states"], "detail": {"status": ["FAILED"], "name": ["job-1"]}}, True),
        ({"source": ["aws.states"], "detail": {"status": ["FAILED"], "name": ["job-2"]}}, False),
        ({"detail": {"nothing": ["FAILED"]}}, False),
        ({"source": {"deeper": ["FAILED"]}}, False),
        ({"detail": {"tags": ["b", "c"]}}, True),
        ({"detail": {"error": [None]}}, True),
        ({"detail": {"count": [{"numeric": [">", 0]}]}}, True),
        ({"detail": {"count": [{"numeric": [">", 1]}]}}, False),
        ({"detail": {"name": [{"numeric": [">", 0]}]}}, False),
    ],
)
def test_patterns_match(pattern: dict[str, Any], expected: bool) -> None:
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize("unknown", [{"exists": True}, {"prefix": "job-"}])
def test_a_pattern_that_is_not_known_is_told(unknown: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match=next(iter(unknown))):
        matches({"detail": {"name": [unknown]}}, EVENT)
