"""How a job reaches its worker."""

import json
import math
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from studio.compute_tasks.models import Job
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.observability import count, logger, tracer

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


@lru_cache(maxsize=4)
def _client(read_timeout: int) -> "LambdaClient":
    tracer.patch(["botocore"])
    # No retries: the SDK would run a job again whose answer only came late.
    return boto3.client(
        "lambda", config=Config(connect_timeout=2, read_timeout=read_timeout, retries={"total_max_attempts": 1})
    )


def start(job: Job) -> None:
    """Hand a job to its worker and go on; where that fails it stays queued, and the clean-up hands it over again.

    Parameters
    ----------
    job : Job
    """
    _invoke(job, "Event", read_timeout=5)


def run(job: Job, seconds: float) -> bool:
    """Hand a job to its worker and wait.

    Parameters
    ----------
    job : Job
    seconds : float
        At most this long; the worker goes on beyond it.

    Returns
    -------
    bool
        False where the worker was started and crashed.
    """
    return _invoke(job, "RequestResponse", read_timeout=max(1, math.ceil(seconds)))


def _invoke(job: Job, kind: str, read_timeout: int) -> bool:
    function = ComputeTaskSettings.load().task_worker_function
    if not function:
        logger.error("no worker is configured: TASK_WORKER_FUNCTION", job_id=job.id)
        return True
    payload = json.dumps({"job_id": job.id, "attempt": job.attempt})
    try:
        answer = _client(read_timeout).invoke(FunctionName=function, InvocationType=kind, Payload=payload)  # type: ignore[arg-type]
    except (BotoCoreError, ClientError) as error:
        # A time-out while waiting is one of these, and no failure.
        logger.info("the worker's answer did not come", job_id=job.id, reason=type(error).__name__)
        count("DispatchUnanswered")
        return True
    return "FunctionError" not in answer
