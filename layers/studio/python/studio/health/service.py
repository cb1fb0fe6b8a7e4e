"""Whether the service and what it depends on answer."""

import time
from collections.abc import Callable
from typing import Literal

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel
from pymongo.errors import PyMongoError

import studio
from studio import storage
from studio.errors import UnavailableError
from studio.mongo import get_database
from studio.observability import logger


class Dependency(BaseModel):
    """One thing that Studio needs."""

    status: Literal["ok", "down"]
    milliseconds: float


class HealthResponse(BaseModel):
    """`ok` where everything answers, `down` where anything does not."""

    status: Literal["ok", "down"]
    version: str
    dependencies: dict[Literal["mongodb", "storage"], Dependency]


def check_health() -> HealthResponse:
    """Ask MongoDB and the bucket for a sign of life.

    Returns
    -------
    HealthResponse
    """
    dependencies = {
        "mongodb": _probe("mongodb", lambda: get_database().command("ping")),
        "storage": _probe("storage", storage.check),
    }
    down = any(dependency.status == "down" for dependency in dependencies.values())
    return HealthResponse(status="down" if down else "ok", version=studio.__version__, dependencies=dependencies)


def _probe(name: str, ask: Callable[[], object]) -> Dependency:
    started = time.perf_counter()
    status: Literal["ok", "down"] = "ok"
    try:
        ask()
    except (PyMongoError, BotoCoreError, ClientError, GetParameterError, UnavailableError):
        logger.exception("dependency down", dependency=name)
        status = "down"
    return Dependency(status=status, milliseconds=round((time.perf_counter() - started) * 1000, 1))
