"""How a route answers what may run in the request or as a job."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from pydantic import BaseModel

from studio.caller import Caller
from studio.compute_tasks import api
from studio.compute_tasks.models import AcceptedResponse, TaskOptions
from studio.http import get_caller, get_deadline, get_job_id, get_request_id

Request = TypeVar("Request", bound=TaskOptions)
Answer = TypeVar("Answer", bound=BaseModel)


def run_or_submit(
    app: APIGatewayHttpResolver,
    task_type: str,
    request: Request,
    run: Callable[[Caller, Request, str], Answer],
    model: type[Answer],
    prepare: Callable[[Request, Caller], BaseModel],
) -> tuple[Answer | AcceptedResponse, int]:
    """Run the request that an app is serving at once, or as a job where it asks for that.

    Parameters
    ----------
    app : APIGatewayHttpResolver
    task_type : str
        Of the registry.
    request : TaskOptions
        With what the task takes.
    run : callable
        Serves the request at once; it takes the caller, the request and the request's id.
    model : type
        Of the answer.
    prepare : callable
        Makes the job's payload of the request: what is big goes to the bucket first.

    Returns
    -------
    answer : pydantic.BaseModel
    status : int
        200 with the task's answer, 202 with the job where it goes on.

    Raises
    ------
    StudioError
        What the task refuses, or `studio.compute_tasks.api.submit`.
    """
    caller = get_caller(app)
    if not request.use_container:
        return run(caller, request, get_request_id(app)), HTTPStatus.OK
    return api.submit(
        caller, task_type, request, model, lambda: prepare(request, caller), get_deadline(app), get_job_id(app)
    )
