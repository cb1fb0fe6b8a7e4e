"""The last state of a bulk job: what came of every image."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.states import state_handler
from studio.tone_mapping.bulk.service import complete


@state_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {"counts": complete(event["job_id"])}
