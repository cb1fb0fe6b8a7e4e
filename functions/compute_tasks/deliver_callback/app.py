"""Behind the queue of callbacks: posts each to its receiver; what is not taken goes back to the queue."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.compute_tasks.delivery import UndeliveredError, deliver
from studio.observability import event_handler, logger

# A receiver that is down is no failure of the function.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def deliver_record(record: SQSRecord) -> None:
    """Deliver one callback."""
    try:
        deliver(record.json_body, int(record.attributes.approximate_receive_count), record.receipt_handle)
    except UndeliveredError:
        raise
    except Exception:
        logger.exception("a callback could not be tried", message_id=record.message_id)  # the processor says nothing
        raise


@event_handler
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=deliver_record, processor=processor, context=context)
