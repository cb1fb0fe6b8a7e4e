"""One image of a bulk job."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.states import state_handler
from studio.tone_mapping.bulk.service import grade_item


@state_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {"status": grade_item(event["job_id"], event["index"], event["image_key"])}
