import base64
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler.openapi.params import Query
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from pydantic import BaseModel, Field, SecretStr, field_validator
from pymongo.errors import ConfigurationError, OperationFailure, ServerSelectionTimeoutError

from studio.errors import ConflictError, UnavailableError
from studio.http import Handler, answers, create_app, create_handler, get_caller


class Order(BaseModel, extra="forbid"):
    count: int = Field(ge=1, le=9)
    password: SecretStr | None = Field(default=None, min_length=12)

    @field_validator("count")
    @classmethod
    def _free(cls, count: int) -> int:
        if count == 7:
            raise ValueError("seven is taken")
        return count


class Receipt(BaseModel):
    total: int


PROBLEMS: dict[str, Exception] = {
    "conflict": ConflictError("taken", field="count"),
    "later": UnavailableError("not now", retry_after=7),
    "mongo": ServerSelectionTimeoutError("no primary at mongodb://user:hunter2@db"),
    "s3": EndpointConnectionError(endpoint_url="https://user:hunter2@s3"),
    "slow": ClientError({"ResponseMetadata": {"HTTPStatusCode": 503}}, "GetObject"),  # type: ignore[typeddict-item]
    "throttled": ClientError(
        {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
        "StartExecution",
    ),
    "denied": ClientError(
        {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
        "GetObject",
    ),
    "unresolved": ConfigurationError("The DNS query name does not exist: _mongodb._tcp.hunter2.mongodb.net."),
    "silent": ReadTimeoutError(endpoint_url="https://user:hunter2@s3"),
    "rotated": OperationFailure("Authentication failed for hunter2.", code=18),
    "bug": OperationFailure("planted-secret in the text"),
}


@pytest.fixture
def handler() -> Handler:
    app = create_app()

    @app.post("/orders", status_code=201, responses=answers(201, 409))
    def order(request: Order) -> Receipt:
        return Receipt(total=request.count)

    @app.get("/wrong")
    def wrong() -> Receipt:
        return {"total": "many"}  # type: ignore[return-value]

    @app.get("/problem/<name>")
    def problem(name: str) -> Receipt:
        raise PROBLEMS[name]

    @app.get("/me")
    def me() -> Receipt:
        get_caller(app).require("grade")
        return Receipt(total=1)

    @app.get("/page")
    def page(limit: Annotated[int, Query(ge=1, le=100)] = 50) -> Receipt:
        return Receipt(total=limit)

    @app.delete("/orders", status_code=204, responses=answers(204))
    def delete() -> None: ...

    return create_handler(app)


def test_what_a_validator_of_ours_says_is_told_as_it_is(handler: Handler, invoke: Any) -> None:
    [detail] = invoke(handler, "POST", "/orders", {"count": 7})["body"]["error"]["details"]
    assert detail == {"field": "count", "message": "seven is taken; got 7"}


def test_success_carries_the_request_id(handler: Handler, invoke: Any) -> None:
    answer = invoke(handler, "POST", "/orders", {"count": 3})
    assert answer["statusCode"] == 201
    assert answer["body"] == {"total": 3}
    assert answer["headers"]["x-request-id"] == "request-1"


def test_an_integer_may_be_written_with_a_point(handler: Handler, invoke: Any) -> None:
    assert invoke(handler, "POST", "/orders", '{"count": 3.0}')["body"] == {"total": 3}
    assert invoke(handler, "POST", "/orders", '{"count": 3.5}')["statusCode"] == 422


def test_no_content_has_no_body(handler: Handler, invoke: Any) -> None:
    answer = invoke(handler, "DELETE", "/orders")
    assert (answer["statusCode"], answer["text"]) == (204, "")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        ('{"count": ', "application/json", 400, "MALFORMED_JSON"),
        ('{"count": ' + "9" * 5000 + "}", "application/json", 400, "MALFORMED_JSON"),
        ("[" * 100_000, "application/json", 400, "MALFORMED_JSON"),
        ("", "application/json", 422, "INVALID_FIELD"),
        ("null", "application/json", 422, "INVALID_FIELD"),
        ("[1]", "application/json", 422, "INVALID_FIELD"),
        ('"text"', "application/json", 422, "INVALID_FIELD"),
        ("{}", "application/json", 422, "INVALID_FIELD"),
        ('{"count": 10}', "application/json", 422, "INVALID_FIELD"),
        ('{"count": 10}', "Application/JSON; charset=utf-8", 422, "INVALID_FIELD"),
        ('{"count": "3"}', "application/json", 422, "INVALID_FIELD"),
        ('{"count": true}', "application/json", 422, "INVALID_FIELD"),
        ('{"count": 3, "password": "\\ud800 lone surrogate"}', "application/json", 400, "MALFORMED_JSON"),
        ("count=1", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("count=1", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("", "multipart/form-data", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("--x", "multipart/form-data; boundary=x", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_bad_bodies(handler: Handler, invoke: Any, body: str, content_type: str, status: int, code: str) -> None:
    answer = invoke(handler, "POST", "/orders", body, content_type=content_type)
    assert answer["statusCode"] == status
    assert answer["body"]["error"]["code"] == code
    assert answer["body"]["request_id"] == "request-1"


def test_invalid_field_names_field_limit_and_value(handler: Handler, invoke: Any) -> None:
    [detail] = invoke(handler, "POST", "/orders", {"count": 10})["body"]["error"]["details"]
    assert detail["field"] == "count"
    assert "less than or equal to 9" in detail["message"]
    assert "got 10" in detail["message"]


@pytest.mark.parametrize("field", ["password", "passwort"])
def test_passwords_are_never_repeated(
    handler: Handler, invoke: Any, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    answer = invoke(handler, "POST", "/orders", {"count": 1, field: "hunter2"})
    assert answer["statusCode"] == 422
    assert "hunter2" not in str(answer) + capsys.readouterr().out


def test_a_body_that_is_not_utf_8_is_malformed(handler: Handler, invoke: Any) -> None:
    answer = invoke(handler, "POST", "/orders", base64.b64encode(b'{"count": "\xff"}').decode(), is_base64=True)
    assert (answer["statusCode"], answer["body"]["error"]["code"]) == (400, "MALFORMED_JSON")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("conflict", 409, "CONFLICT"),
        ("later", 503, "UNAVAILABLE"),
        ("mongo", 503, "UNAVAILABLE"),
        ("s3", 503, "UNAVAILABLE"),
        ("slow", 503, "UNAVAILABLE"),
        ("throttled", 503, "UNAVAILABLE"),
        ("unresolved", 503, "UNAVAILABLE"),
        ("denied", 500, "INTERNAL_ERROR"),
        ("silent", 503, "UNAVAILABLE"),
        ("rotated", 503, "UNAVAILABLE"),
        ("bug", 500, "INTERNAL_ERROR"),
    ],
)
def test_errors_have_one_envelope(handler: Handler, invoke: Any, name: str, status: int, code: str) -> None:
    answer = invoke(handler, "GET", f"/problem/{name}")
    assert answer["statusCode"] == status
    assert answer["body"].keys() == {"error", "request_id"}
    assert answer["body"]["error"].keys() == {"code", "message", "details"}
    assert answer["body"]["error"]["code"] == code
    assert "hunter2" not in str(answer)
    assert "planted-secret" not in str(answer)
    assert ("retry-after" in answer["headers"]) == (status == 503)


def test_a_wrong_answer_of_ours_is_a_500(handler: Handler, invoke: Any) -> None:
    answer = invoke(handler, "GET", "/wrong")
    assert (answer["statusCode"], answer["body"]["error"]["code"]) == (500, "INTERNAL_ERROR")


def test_unknown_route(handler: Handler, invoke: Any) -> None:
    answer = invoke(handler, "GET", "/nowhere")
    assert (answer["statusCode"], answer["body"]["error"]["code"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(("scopes", "status"), [(None, 403), ("export", 403), ("export grade", 200)])
def test_scopes(handler: Handler, invoke: Any, scopes: str | None, status: int) -> None:
    assert invoke(handler, "GET", "/me", scopes=scopes)["statusCode"] == status
