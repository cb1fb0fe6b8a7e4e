"""The worker: runs one attempt of a job, whatever its task."""

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.compute_tasks.worker import run_job
from studio.observability import event_handler


@event_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    # Its own name, which the template cannot give it: it starts the next attempt where this one is lost.
    os.environ.setdefault("TASK_WORKER_FUNCTION", context.function_name)
    return {"status": run_job(event["job_id"], event["attempt"])}
