"""Functions are invoked asynchronously as AWS does it: attempts, destinations, schedules, rules."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.stack import Stack
from tests.integration.local.conftest import Records

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


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
