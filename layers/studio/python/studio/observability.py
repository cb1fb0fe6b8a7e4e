"""Logs, metrics and traces of every function."""

from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit

# The traceback is in the record once; its structured copy would double it.
logger = Logger(serialize_stacktrace=False)
# auto_patch imports every library, half a second of cold start: whoever makes a client patches its library.
tracer = Tracer(auto_patch=False)


def count(name: str) -> None:
    """Count one event as a CloudWatch metric.

    Parameters
    ----------
    name : str
        CamelCase.
    """
    with single_metric(name=name, unit=MetricUnit.Count, value=1):
        pass
