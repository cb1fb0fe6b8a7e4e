from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError, ReadTimeoutError
from pymongo.errors import DuplicateKeyError, NetworkTimeout

from studio.errors import GoneError
from studio.states import TransientError, retryable


def aws_error(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Something")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (aws_error(400, "ThrottlingException"), TransientError),
        (aws_error(503, "SlowDown"), TransientError),
        (aws_error(403, "AccessDenied"), ClientError),
        (ReadTimeoutError(endpoint_url="https://s3"), TransientError),
        (GetParameterError("throttled"), TransientError),
        (NetworkTimeout("no answer"), TransientError),
        (DuplicateKeyError("there is one"), DuplicateKeyError),
        (GoneError("it has expired"), GoneError),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_what_another_try_may_mend_has_a_name_of_its_own(error: Exception, told: type[Exception]) -> None:
    @retryable
    def state(event: dict[str, Any], context: None) -> dict[str, Any]:
        raise error

    with pytest.raises(told):
        state({}, None)


def test_what_a_state_answers_is_its_answer() -> None:
    @retryable
    def state(event: dict[str, Any], context: None) -> dict[str, Any]:
        return event | {"context": context}

    assert state({"job_id": "a"}, None) == {"job_id": "a", "context": None}
