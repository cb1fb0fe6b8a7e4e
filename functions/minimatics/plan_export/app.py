"""The first state of an export: it begins, and registers a job where the execution was started by hand."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.minimatics.export.service import plan
from studio.states import state_handler


@state_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return plan(event["job_id"], event["execution_arn"], event["input"])
