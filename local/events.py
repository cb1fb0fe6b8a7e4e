"""What invokes functions without waiting for them: Lambda's own queue for events, SQS, schedules, and rules."""

import json
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.lambda_runtime import Outcome, TooManyRequestsError, WorkerPool, function_arn
from local.template import ACCOUNT_ID, REGION, QueueMapping, Schedule

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = logging.getLogger(__name__)

EVENT_AGE_SECONDS = 21_600  # how long Lambda keeps an event that it cannot run yet
POLLERS = 2  # of a queue; Lambda begins with five
RETRY_SECONDS = 0.2  # Lambda waits one minute, then two


class EventInvoker:
    """Lambda's asynchronous invocation: attempts, and then the destination for failures.

    Parameters
    ----------
    functions
        What is invoked, by name; it may be filled later.
    stopped
        Once it is set, nothing is attempted any more.
    """

    def __init__(self, functions: Mapping[str, WorkerPool], stopped: threading.Event) -> None:
        self._functions, self._stopped = functions, stopped

    def submit(self, name: str, payload: bytes) -> str:
        """Invoke a function some time, and return the id that all attempts have in common."""
        request_id = str(uuid.uuid4())
        threading.Thread(target=self._run, args=(name, payload, request_id), name=f"{name}-event", daemon=True).start()
        return request_id

    def _run(self, name: str, payload: bytes, request_id: str) -> None:
        function = self._functions[name].function
        for attempt in range(1, function.event_retries + 2):
            try:
                outcome = self._functions[name].invoke(payload, patience=EVENT_AGE_SECONDS, request_id=request_id)
            except TooManyRequestsError:
                print(f"{name} | an event was dropped: no worker became free", file=sys.stderr)
                return
            if not outcome.is_error:
                return
            print(f"{name} | an event failed: {outcome.payload.decode(errors='replace')}", file=sys.stderr)
            if self._stopped.wait(RETRY_SECONDS if attempt <= function.event_retries else 0):
                return
        if destination := function.failure_destination:
            record = json.dumps(_failure_record(name, payload, request_id, outcome, attempt))
            self.submit(destination, record.encode())


def keep_schedules(
    schedules: Sequence[Schedule], deliver: Callable[[str, bytes], object], stopped: threading.Event
) -> None:
    """Have the events of schedules delivered at their times, as EventBridge does.

    Parameters
    ----------
    schedules
        What there is to keep.
    deliver
        What takes a function and an event for it.
    stopped
        Once it is set, no schedule is kept any more.
    """

    def keep(schedule: Schedule, seconds: float) -> None:
        while not stopped.wait(seconds):
            fire(schedule, deliver)

    for schedule in schedules:
        if schedule.every is None:
            log.info("schedule %s never fires by itself here", schedule.name)
        else:
            seconds = schedule.every.total_seconds()
            threading.Thread(target=keep, args=(schedule, seconds), name=schedule.name, daemon=True).start()


def fire(schedule: Schedule, deliver: Callable[[str, bytes], object]) -> None:
    """Deliver the event of a schedule now."""
    arn = f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{schedule.name}"
    event = event_of("aws.events", "Scheduled Event", arn, {})
    deliver(schedule.function, json.dumps(event).encode())


def poll_queues(
    mappings: Sequence[QueueMapping],
    functions: Mapping[str, WorkerPool],
    sqs: "SQSClient",
    stopped: threading.Event,
) -> None:
    """Have functions invoked with the messages of queues, as Lambda does.

    Its pollers take a batch each, invoke the function, and delete what was not refused.

    Parameters
    ----------
    mappings
        Which queue's messages go to which function.
    functions
        What is invoked, by name.
    sqs
        A client of SQS.
    stopped
        Once it is set, no more messages are taken.
    """
    for mapping in mappings:
        arguments = (mapping, functions[mapping.function], sqs, stopped)
        for _ in range(POLLERS):
            threading.Thread(target=_poll, args=arguments, name=f"{mapping.function}-queue", daemon=True).start()


def _poll(mapping: QueueMapping, pool: WorkerPool, sqs: "SQSClient", stopped: threading.Event) -> None:
    url = sqs.get_queue_url(QueueName=mapping.queue_arn.rpartition(":")[2])["QueueUrl"]
    while not stopped.is_set():
        try:
            found = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=mapping.batch_size,
                WaitTimeSeconds=1,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            refused = _invoke(mapping, pool, found) if found else set()
            for message in found:
                if message["MessageId"] not in refused:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        except (BotoCoreError, ClientError):
            if not stopped.wait(RETRY_SECONDS):
                log.exception("%s does not answer", mapping.queue_arn)


def _invoke(mapping: QueueMapping, pool: WorkerPool, messages: Sequence["MessageTypeDef"]) -> set[str]:
    """Return the ids of the messages that go back to the queue."""
    everything = {message["MessageId"] for message in messages}
    records = [_queue_record(mapping, message) for message in messages]
    try:
        outcome = pool.invoke(json.dumps({"Records": records}).encode())
    except TooManyRequestsError:
        return everything
    if outcome.is_error:
        print(f"{mapping.function} | a batch failed: {outcome.payload.decode(errors='replace')}", file=sys.stderr)
        return everything
    if not mapping.reports_failures:
        return set()
    failures = (json.loads(outcome.payload) or {}).get("batchItemFailures") or []
    refused = {failure.get("itemIdentifier") for failure in failures}
    return refused if refused <= everything else everything  # a name that is unknown fails the whole batch


def event_of(source: str, kind: str, resource: str, detail: object) -> dict[str, object]:
    """Return an event in the envelope that EventBridge delivers."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT_ID,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [resource],
        "detail": detail,
    }


def _queue_record(mapping: QueueMapping, message: "MessageTypeDef") -> dict[str, object]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.queue_arn,
        "awsRegion": REGION,
    }


def timestamp(moment: datetime | None = None) -> str:
    """Return a moment, which is now where it is None, as AWS's records write it."""
    return (moment or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _failure_record(name: str, payload: bytes, request_id: str, outcome: Outcome, attempts: int) -> dict[str, object]:
    return {
        "version": "1.0",
        "timestamp": timestamp(),
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function_arn(name)}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(payload),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": json.loads(outcome.payload),
    }
