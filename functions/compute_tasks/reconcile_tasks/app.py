"""Where a worker that crashed ends up, and an execution that ended badly.

The worker's job gets another attempt, or fails; the execution's is cancelled or fails.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.compute_tasks.recovery import reconcile, reconcile_execution
from studio.observability import event_handler


@event_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if event.get("source") == "aws.states":
        return {"status": reconcile_execution(event["detail"]["name"], event["detail"])}
    lost = event["requestPayload"]
    return {"status": reconcile(lost["job_id"], lost["attempt"])}
