"""The first state of a Batch job: what its container needs."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.compute_tasks.executions import prepare_container
from studio.states import state_handler


@state_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return prepare_container(event["job_id"])
