"""The first state of a bulk job: it begins."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.observability import logger, tracer
from studio.states import retryable
from studio.tone_mapping.bulk.service import start


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@retryable
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return start(event["job_id"])
