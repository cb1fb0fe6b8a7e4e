"""The first state of a bulk job: it begins."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.states import state_handler
from studio.tone_mapping.bulk.service import start


@state_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return start(event["job_id"])
