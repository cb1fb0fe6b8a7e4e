"""The last state of an export: its film is the job's result, and its segments are deleted."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.minimatics.export.service import complete
from studio.states import state_handler


@state_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {"film_key": complete(event["job_id"])}
