"""Answering a request by a job: with its result where that is waited for and comes in time, else with the job."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel

from studio import results
from studio.caller import Caller
from studio.compute_tasks import callbacks, service
from studio.compute_tasks.models import AcceptedResponse, TaskOptions
from studio.compute_tasks.registry import TASKS
from studio.image_source import ImageSource

Answer = TypeVar("Answer", bound=BaseModel)


def submit(
    caller: Caller,
    task_type: str,
    request: TaskOptions,
    model: type[Answer],
    prepare: Callable[[], BaseModel],
    deadline: float,
    job_id: str | None = None,
) -> tuple[Answer | AcceptedResponse, int]:
    """Run a request as a job.

    Parameters
    ----------
    caller : Caller
    task_type : str
        Of the registry.
    request : TaskOptions
    model : type
        Of the answer.
    prepare : callable
        Makes the job's payload of the request.
    deadline : float
        Until when to wait for the job where the request asks for that, of `time.monotonic`.
    job_id : str, optional
        For the job; where there is one of that id already, it is answered.

    Returns
    -------
    answer : pydantic.BaseModel
    status : int
        200 with the task's answer, 202 with the job where it goes on.

    Raises
    ------
    ForbiddenError
        If the caller's key lacks the task's scope.
    InvalidFieldError
        If the task is disabled or does not run where it is asked to, or the callback URL is refused.
    UnavailableError
        If the task's state machine, or callbacks that are asked for, are not configured.
    TooManyRequestsError
        If the caller has as many jobs as allowed that are not over.
    StudioError
        What `prepare` refuses; or why the job that was waited for failed or was cancelled.
    """
    # Before anything is stored for the job.
    caller.require(TASKS[task_type].scope)
    service.choose_target(task_type, request.target)
    callbacks.check(request.callback_url)
    job = service.submit(caller, task_type, prepare(), request, job_id, deadline)
    if job.status == "COMPLETED" and job.result is not None:
        return model.model_validate(results.presign_urls(job.result)), HTTPStatus.OK
    if job.status in ("FAILED", "CANCELLED"):
        raise service.to_error(job, isinstance(request, ImageSource) and request.image is not None)
    return service.to_accepted(job), HTTPStatus.ACCEPTED
