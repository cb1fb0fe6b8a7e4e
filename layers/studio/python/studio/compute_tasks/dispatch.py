"""How a job reaches its worker."""

import json
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from studio.compute_tasks.models import Job
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.observability import count, logger, tracer

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient


@lru_cache(maxsize=4)
def _client(read_timeout: int) -> "LambdaClient":
    tracer.patch(["botocore"])
    # No retries: the SDK would run a job again whose answer only came late.
    return boto3.client(
        "lambda", config=Config(connect_timeout=2, read_timeout=read_timeout, retries={"total_max_attempts": 1})
    )


@cache
def _steps() -> "SFNClient":
    tracer.patch(["botocore"])
    return boto3.client(
        "stepfunctions", config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2})
    )


def execution_arn(machine_arn: str, job_id: str) -> str:
    """Return the ARN of a job's execution, which has the job's id as its name.

    Parameters
    ----------
    machine_arn, job_id : str
    """
    return f"{machine_arn.replace(':stateMachine:', ':execution:', 1)}:{job_id}"


def stop(job: Job) -> None:
    """Stop the execution of a job that was cancelled; where that fails, its items find that out by themselves.

    Parameters
    ----------
    job : Job
    """
    if not job.execution_arn:
        return
    try:
        _steps().stop_execution(executionArn=job.execution_arn, error="Cancelled", cause="its user cancelled the job")
    except (BotoCoreError, ClientError) as error:
        logger.warning("an execution could not be stopped", job_id=job.id, reason=str(error))


def find_execution(job: Job) -> dict[str, Any] | None:
    """Return `status`, `redriveCount`, `error` and `cause` of a job's execution; None where it has none.

    Parameters
    ----------
    job : Job
    """
    try:
        found = _steps().describe_execution(executionArn=job.execution_arn or "")
    except _steps().exceptions.ExecutionDoesNotExist:
        return None
    return {name: found.get(name) for name in ("status", "redriveCount", "error", "cause")}


def _start_execution(job: Job, arn: str) -> None:
    machine = arn.rpartition(":")[0].replace(":execution:", ":stateMachine:", 1)
    try:
        _steps().start_execution(stateMachineArn=machine, name=job.id, input="{}")
    except (BotoCoreError, ClientError) as error:
        logger.warning("an execution could not be started", job_id=job.id, reason=str(error))
        count("DispatchUnanswered")


def start(job: Job) -> None:
    """Hand a job to its worker and go on; where that fails it stays queued, and the clean-up hands it over again.

    Parameters
    ----------
    job : Job
    """
    if job.execution_arn:
        _start_execution(job, job.execution_arn)
        return
    _invoke(job, "Event", read_timeout=5)


def run(job: Job, seconds: float) -> bool:
    """Hand a job to its worker and wait.

    Parameters
    ----------
    job : Job
    seconds : float
        At most this long, in whole seconds and at least one; the worker goes on beyond it.

    Returns
    -------
    bool
        False where the worker was started and crashed.
    """
    return _invoke(job, "RequestResponse", read_timeout=max(1, int(seconds)))


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
