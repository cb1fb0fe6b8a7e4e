"""schemathesis: what the API answers is what its document says, whatever is sent."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from local.stack import Stack
from tests import tally
from tests.attack.conftest import IS_FULL

ROOT = Path(__file__).parents[2]
# Of the quick run, a few routes that differ most from each other.
SOME = "^/(auth/(login|api-keys)|uploads|minimatics/projects/.project_id.|tone-mapping/presets|compute-tasks)$"


def test_the_document_holds(stack: Stack, user: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(ROOT / ".venv/bin/schemathesis", "--config-file", Path(__file__).with_name("schemathesis.toml"), "run"),
            *(
                ROOT / "functions/web/serve_pages/openapi.json",
                "--url",
                stack.url,
                "--header",
                f"X-API-KEY: {user.api_key}",
            ),
            *("--report", "ndjson", "--report-ndjson-path", report, "--no-shrink", "--continue-on-failure"),
            *(("--max-examples", "25") if IS_FULL else ("--max-examples", "5", "--include-path-regex", SOME)),
            *(() if IS_FULL else ("--seed", "6", "--phases", "examples,fuzzing")),
        ],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    statuses = answered(report)
    tally.counts[tally.TRIED] += len(statuses)
    tally.counts[tally.SERVER_ERRORS] += sum(status >= 500 for status in statuses)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert len(statuses) >= (2000 if IS_FULL else 50)


def answered(report: Path) -> list[int]:
    """Return the status of every answer that a report tells of."""
    return [int(status) for status in re.findall(r'"status_code":(\d+)', report.read_text())]
