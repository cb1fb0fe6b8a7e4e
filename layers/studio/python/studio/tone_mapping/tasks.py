"""Tone mapping as compute tasks: the service's functions, their pictures stored instead of inline."""

from dataclasses import replace
from typing import TypeVar

from studio.caller import Caller
from studio.compute_tasks.registry import Reporter
from studio.tone_mapping import service
from studio.tone_mapping.models import (
    AdjustRequest,
    ApplyPresetRequest,
    AutoCorrectRequest,
    GradedImageResponse,
    GradingRequest,
)

Request = TypeVar("Request", bound=GradingRequest)


def auto_correct(caller: Caller, request: AutoCorrectRequest, report: Reporter) -> GradedImageResponse:
    """Run `service.auto_correct` as a task.

    Parameters
    ----------
    caller : Caller
    request : AutoCorrectRequest
    report : Reporter
    """
    report(1, "grading")
    return service.auto_correct(caller, _stored(request), report.job_id)


def adjust(caller: Caller, request: AdjustRequest, report: Reporter) -> GradedImageResponse:
    """Run `service.adjust` as a task.

    Parameters
    ----------
    caller : Caller
    request : AdjustRequest
    report : Reporter
    """
    report(1, "grading")
    return service.adjust(caller, _stored(request), report.job_id)


def apply_preset(caller: Caller, request: ApplyPresetRequest, report: Reporter) -> GradedImageResponse:
    """Run `service.apply_preset` as a task.

    Parameters
    ----------
    caller : Caller
    request : ApplyPresetRequest
    report : Reporter
    """
    report(1, "grading")
    return service.apply_preset(caller, _stored(request), report.job_id)


def _stored(request: Request) -> Request:
    """Return the request with its picture stored: a job's result is a record, and holds no pixels."""
    output = replace(request.output, delivery="url")
    return request.model_copy(update={"output": output})
