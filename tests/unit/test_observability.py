"""What X-Ray sees."""

import subprocess
import sys

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
