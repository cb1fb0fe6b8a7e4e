"""Functions are invoked asynchronously as AWS does it: attempts, destinations, schedules, rules."""

import json
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.events import keep_schedules
from local.stack import Stack
from local.template import Schedule
from tests.integration.local.conftest import Records
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient


@pytest.fixture
def aws_lambda(event_stack: Stack) -> "LambdaClient":
    client: LambdaClient = event_stack.client("lambda")
    return client


def send(aws_lambda: "LambdaClient", function: str, event: dict[str, Any]) -> str:
    """Invoke a function as an event and return the request's id."""
    answer = aws_lambda.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202
    return answer["ResponseMetadata"]["RequestId"]


def test_an_event_that_fails_is_tried_again(aws_lambda: "LambdaClient", records: Records) -> None:
    request_id = send(aws_lambda, "WorkFunction", {"fail": 1})
    first, second = records.wait("WorkFunction", 2)
    assert first["event"] == second["event"] == {"fail": 1}
    assert first["request_id"] == second["request_id"] == request_id


def test_the_destination_gets_what_failed_to_the_end(aws_lambda: "LambdaClient", records: Records) -> None:
    request_id = send(aws_lambda, "WorkFunction", {"fail": 9})
    [failed] = records.wait("FailedFunction")
    assert len(records.of("WorkFunction")) == 2
    event = failed["event"]
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo
    response = event.pop("responsePayload")
    assert (response["errorType"], response["errorMessage"]) == ("ValueError", "as asked")
    assert event == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:WorkFunction:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 2,
        },
        "requestPayload": {"fail": 9},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }


def test_an_event_may_have_one_attempt_only(aws_lambda: "LambdaClient", records: Records) -> None:
    send(aws_lambda, "WorkOnceFunction", {"fail": 9})
    [failed] = records.wait("FailedFunction")
    assert failed["event"]["requestContext"]["approximateInvokeCount"] == 1
    assert len(records.of("WorkOnceFunction")) == 1


@pytest.fixture
def queue_url(event_stack: Stack, records: Records) -> str:
    return event_stack.functions["TakeFunction"].environment["QUEUE_URL"]


def taken(records: Records) -> list[dict[str, Any]]:
    """Messages that the function was invoked with until now."""
    return [message for record in records.of("TakeFunction") for message in record["event"]["Records"]]


def test_a_function_takes_the_messages_of_its_queue(event_stack: Stack, records: Records, queue_url: str) -> None:
    sqs = event_stack.client("sqs")
    sent = sqs.send_message(QueueUrl=queue_url, MessageBody="take")
    records.wait("TakeFunction")
    [message] = taken(records)
    name = event_stack.functions["TakeFunction"].environment["QUEUE_URL"].rpartition("/")[2]
    assert message.pop("receiptHandle")
    attributes = message.pop("attributes")
    assert attributes["ApproximateReceiveCount"] == "1"
    assert int(attributes["SentTimestamp"]) > 0
    assert message == {
        "messageId": sent["MessageId"],
        "body": "take",
        "messageAttributes": {},
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{name}",
        "awsRegion": "us-east-1",
    }
    until(lambda: in_queue(sqs, queue_url) == 0)


@pytest.mark.parametrize("bodies", [["take", "refuse"], ["crash"]])
def test_what_is_refused_comes_back_and_ends_in_the_dead_letter_queue(
    event_stack: Stack, records: Records, queue_url: str, bodies: list[str]
) -> None:
    sqs = event_stack.client("sqs")
    dead = event_stack.functions["TakeFunction"].environment["DEAD_LETTER_QUEUE_URL"]
    before = in_queue(sqs, dead)
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    until(lambda: in_queue(sqs, dead) > before)
    counts = [(message["body"], message["attributes"]["ApproximateReceiveCount"]) for message in taken(records)]
    assert sorted(counts) == sorted([*((body, "1") for body in bodies), (bodies[-1], "2")])
    assert (in_queue(sqs, dead) - before, in_queue(sqs, queue_url)) == (1, 0)


def in_queue(sqs: "SQSClient", url: str) -> int:
    """Messages of a queue, those in flight included."""
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


def test_a_schedule_is_fired_on_demand(event_stack: Stack, records: Records) -> None:
    event_stack.fire("ScheduledFunction")
    [record] = records.wait("ScheduledFunction")
    event = record["event"]
    assert datetime.fromisoformat(event.pop("time")).tzinfo
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/ScheduledFunctionHourly"],
        "detail": {},
    }
    with pytest.raises(LookupError):
        event_stack.fire("WorkFunction")


def test_a_schedule_fires_again_and_again_until_it_is_stopped() -> None:
    fired: list[tuple[str, str]] = []
    schedule = Schedule("Often", "OftenFunction", every=timedelta(milliseconds=1))
    stopped = threading.Event()
    keep_schedules([schedule], lambda function, event: fired.append((function, json.loads(event)["source"])), stopped)
    until(lambda: len(fired) > 2)
    stopped.set()
    until(lambda: "Often" not in {thread.name for thread in threading.enumerate()})
    assert set(fired) == {("OftenFunction", "aws.events")}
