"""Logs, metrics and traces of every function."""

from collections.abc import Callable
from typing import Any, TypeVar

from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

Answer = TypeVar("Answer")

# The traceback is in the record once; its structured copy would double it.
logger = Logger(serialize_stacktrace=False)
# auto_patch imports every library, half a second of cold start: whoever makes a client patches its library.
tracer = Tracer(auto_patch=False)


def event_handler(
    function: Callable[[dict[str, Any], LambdaContext], Answer],
) -> Callable[[dict[str, Any], LambdaContext], Answer]:
    """Make the Lambda handler of a function that is no route: its logs name the request, and it is traced.

    Parameters
    ----------
    function : callable
        Takes an event and Lambda's context. Neither event nor answer is logged or traced: both may carry secrets.

    Returns
    -------
    callable
    """
    return logger.inject_lambda_context(
        tracer.capture_lambda_handler(function, capture_response=False), clear_state=True
    )


def count(name: str, **dimensions: str) -> None:
    """Count one event as a CloudWatch metric.

    Parameters
    ----------
    name : str
        CamelCase.
    **dimensions : str
        What it is told apart by, beside the service.
    """
    _measure(name, MetricUnit.Count, 1, dimensions)


def measure_seconds(name: str, seconds: float, **dimensions: str) -> None:
    """Tell CloudWatch how long something took.

    Parameters
    ----------
    name : str
        CamelCase.
    seconds : float
    **dimensions : str
        What it is told apart by, beside the service.
    """
    _measure(name, MetricUnit.Seconds, seconds, dimensions)


def _measure(name: str, unit: MetricUnit, value: float, dimensions: dict[str, str]) -> None:
    with single_metric(name=name, unit=unit, value=value) as metric:
        for dimension, told in dimensions.items():
            metric.add_dimension(name=dimension, value=told)
