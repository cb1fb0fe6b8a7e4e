"""schemathesis: what the API answers is what its document says, whatever is sent."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from tests import tally
from tests.attack.conftest import IS_FULL

ROOT = Path(__file__).parents[2]
# Of the quick run, a few routes that differ most from each other.
SOME = "^/(auth/(login|api-keys)|uploads|minimatics/projects/.project_id.|tone-mapping/presets|compute-tasks)$"


QUICK = ["--phases", "examples,fuzzing", "--max-examples", "5", "--include-path-regex", SOME, "--seed", "6"]
ALONE = ["--phases", "examples,coverage,fuzzing", "--max-examples", "25"]
# What ends keys might end the run's own, and all that follows would be a 403.
IN_SEQUENCE = ["--phases", "stateful", "--max-examples", "25", "--exclude-path-regex", "^/auth/api-keys/.key_id."]


@pytest.mark.parametrize(
    ("choice", "least"),
    [(ALONE, 2000), (IN_SEQUENCE, 50)] if IS_FULL else [(QUICK, 50)],
    ids=["alone", "in sequence"] if IS_FULL else ["quick"],
)
def test_the_document_holds(stack: Stack, user: Any, tmp_path: Path, choice: list[str], least: int) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(ROOT / ".venv/bin/schemathesis", "--config-file", Path(__file__).with_name("schemathesis.toml"), "run"),
            ROOT / "functions/web/serve_pages/openapi.json",
            *("--url", stack.url),
            *("--header", f"X-API-KEY: {user.api_key}"),
            *("--report", "ndjson", "--report-ndjson-path", str(report), "--no-shrink", "--continue-on-failure"),
            *choice,
        ],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=7200 if IS_FULL else 900,
    )
    statuses = answered(report)
    tally.counts[tally.TRIED] += len(statuses)
    tally.counts[tally.SERVER_ERRORS] += sum(status >= 500 for status in statuses)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert len(statuses) >= least
    user.http.get("/auth/me").raise_for_status()  # the key was good until the end


def answered(report: Path) -> list[int]:
    """Return the status of every answer that a report tells of."""
    return [int(status) for status in re.findall(r'"status_code":(\d+)', report.read_text())]
