"""Every function on every event of events/, in Lambda's container through the real SAM CLI.

What is expected of events/<folder>/<case>.json is in expected/<folder>/<case>.json: the answer, its body parsed where
it is JSON. Objects may hold more than what is expected of them; texts are shell patterns, and "*" is anything but null.
"""

import base64
import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.invoke import EVENTS, SamLocal, folder_of, invoke, list_functions
from local.template import FunctionResource

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

EXPECTED = Path(__file__).parent / "expected"

FUNCTIONS = list_functions()
CASES = [
    pytest.param(function, event, id=event.relative_to(EVENTS).with_suffix("").as_posix())
    for function in FUNCTIONS
    for event in sorted((EVENTS / folder_of(function)).glob("*.json"))
]


def test_every_function_has_events() -> None:
    functions = {folder_of(function) for function in FUNCTIONS}
    assert functions == {event.parent.relative_to(EVENTS) for event in EVENTS.rglob("*.json")}
    assert functions == {event.parent.relative_to(EVENTS) for event in EVENTS.rglob("success.json")}


def test_every_event_has_an_expected_answer() -> None:
    events = {event.relative_to(EVENTS) for event in EVENTS.rglob("*.json")}
    assert events == {answer.relative_to(EXPECTED) for answer in EXPECTED.rglob("*.json")}


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(("function", "event"), CASES)
def test_answers(function: FunctionResource, event: Path, sam: SamLocal, request: pytest.FixtureRequest) -> None:
    # A fresh container for each function's first case, as `just invoke` does it; the others share a warm one.
    if event.stem == "success":
        answer = json.loads(invoke(sam, function, event))
    else:
        client: LambdaClient = request.getfixturevalue("lambda_client")
        called = client.invoke(FunctionName=function.name, Payload=event.read_bytes())
        answer = json.loads(called["Payload"].read())
        assert "FunctionError" not in called, answer
    expected = json.loads((EXPECTED / event.relative_to(EVENTS)).read_text())
    assert_holds(parse_body(answer), expected)


def parse_body(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.get("body"):
        return answer
    body = base64.b64decode(answer["body"]).decode() if answer["isBase64Encoded"] else answer["body"]
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return {**answer, "body": json.loads(body) if headers["content-type"] == "application/json" else body}


def assert_holds(actual: Any, expected: Any, where: str = "answer") -> None:
    """Assert that something holds at least what is expected of it."""
    if expected == "*":
        assert actual is not None, where
    elif isinstance(expected, dict):
        assert isinstance(actual, dict), where
        for key, value in expected.items():
            assert key in actual, f"{where}.{key} of {actual}"
            assert_holds(actual[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(actual, list), where
        assert len(actual) == len(expected), where
        for index, value in enumerate(expected):
            assert_holds(actual[index], value, f"{where}[{index}]")
    elif isinstance(expected, str):
        assert isinstance(actual, str), where
        assert fnmatchcase(actual, expected), f"{where} is {actual}"
    else:
        assert actual == expected, f"{where} is {actual}"
