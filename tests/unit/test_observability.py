"""What X-Ray and CloudWatch see."""

import json
import subprocess
import sys

import pytest

from studio.observability import count, measure_seconds

TRACED = """
import os
os.environ.pop("POWERTOOLS_TRACE_DISABLED", None)
os.environ |= {"LAMBDA_TASK_ROOT": "/var/task", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
    "BUCKET_NAME": "b", "MONGODB_URI": "mongodb://127.0.0.1:1/?connect=false", "AWS_DEFAULT_REGION": "us-east-1"}
from studio import mongo, storage
storage._client()
mongo.get_database()
import botocore.client
from pymongo import monitoring
assert hasattr(botocore.client.BaseClient._make_api_call, "__wrapped__"), "calls of S3 are not traced"
assert [type(l).__name__ for l in monitoring._LISTENERS.command_listeners] == ["XrayCommandListener"]
"""


def test_calls_to_s3_and_mongodb_are_traced() -> None:
    """In a process of its own: what is patched stays patched."""
    subprocess.run([sys.executable, "-c", TRACED], check=True)


def test_metrics_are_told_apart_by_their_dimensions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Studio")
    count("JobCompleted", task_type="adjust")
    measure_seconds("JobRunSeconds", 1.5, task_type="adjust")
    counted, measured = map(json.loads, capsys.readouterr().out.splitlines())
    assert (counted["JobCompleted"], counted["task_type"]) == ([1.0], "adjust")
    [metric] = measured["_aws"]["CloudWatchMetrics"]
    assert metric["Metrics"] == [{"Name": "JobRunSeconds", "Unit": "Seconds"}]
    assert "task_type" in metric["Dimensions"][0]
    assert measured["JobRunSeconds"] == [1.5]
