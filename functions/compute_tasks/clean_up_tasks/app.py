"""On a schedule: jobs whose worker never started or has gone silent get another attempt, or fail.

Callbacks that the queue did not take are sent again.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.compute_tasks.callbacks import announce_untold
from studio.compute_tasks.recovery import clean_up
from studio.observability import event_handler


@event_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    callbacks = announce_untold()  # first: it is short
    return {"stale": clean_up(), "callbacks": callbacks}
