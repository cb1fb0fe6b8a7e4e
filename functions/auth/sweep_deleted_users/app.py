"""On a schedule: what is left of deleted users is deleted, until nothing of theirs can come any more."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.auth.deletion import sweep
from studio.observability import event_handler


@event_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {"finished": sweep()}
