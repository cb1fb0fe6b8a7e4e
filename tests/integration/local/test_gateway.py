"""The gateway answers as an HTTP API of API Gateway does."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests.waiting import until

TOO_LARGE = {"message": "Request Entity Too Large"}
BROKEN = {"message": "Internal Server Error"}


@pytest.fixture
def http(fixture_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fixture_stack.url, timeout=60) as client:
        yield client


def event_of(response: httpx.Response) -> dict[str, Any]:
    event: dict[str, Any] = response.raise_for_status().json()["event"]
    return event


def test_event_is_in_payload_format_2(http: httpx.Client) -> None:
    response = http.get("/echo", params={"q": "1"}, headers={"User-Agent": "me", "X-Mixed-Case": "Value"})
    event = event_of(response)
    context = event["requestContext"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == context["routeKey"] == "ANY /echo"
    assert event["rawPath"] == context["http"]["path"] == "/echo"
    assert event["rawQueryString"] == "q=1"
    assert event["headers"]["x-mixed-case"] == "Value"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert event["isBase64Encoded"] is False
    assert "body" not in event
    assert "cookies" not in event
    assert "pathParameters" not in event
    assert context["http"]["method"] == "GET"
    assert context["http"]["sourceIp"] == "127.0.0.1"
    assert context["http"]["userAgent"] == "me"
    assert context["http"]["protocol"] == "HTTP/1.1"
    assert context["stage"] == "$default"
    assert context["requestId"] == response.headers["apigw-requestid"]
    assert context["timeEpoch"] > 1_700_000_000_000
    assert set(context) == {
        *("accountId", "apiId", "domainName", "domainPrefix", "http", "requestId"),
        *("routeKey", "stage", "time", "timeEpoch"),
    }


def test_repeated_headers_and_query_values_are_joined_with_commas(http: httpx.Client) -> None:
    event = event_of(http.get("/echo?a=1&a=2&b=%C3%A9+x&empty=", headers=[("X-Many", "1"), ("X-Many", "2")]))
    assert event["queryStringParameters"] == {"a": "1,2", "b": "é x", "empty": ""}
    assert event["rawQueryString"] == "a=1&a=2&b=%C3%A9+x&empty="
    assert event["headers"]["x-many"] == "1,2"


def test_cookies_have_a_field_of_their_own(http: httpx.Client) -> None:
    event = event_of(http.get("/echo", headers={"Cookie": "a=1; b=2"}))
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]


@pytest.mark.parametrize(
    "media_type", ["text/csv", "application/json", "application/json; charset=utf-8", "application/xml"]
)
def test_text_reaches_the_function_as_text(http: httpx.Client, media_type: str) -> None:
    event = event_of(http.post("/echo", content="é".encode(), headers={"Content-Type": media_type}))
    assert (event["body"], event["isBase64Encoded"]) == ("é", False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
def test_anything_else_reaches_the_function_in_base64(http: httpx.Client, headers: dict[str, str]) -> None:
    event = event_of(http.post("/echo", content=b"\x00\xff", headers=headers))
    assert (event["body"], event["isBase64Encoded"]) == (base64.b64encode(b"\x00\xff").decode(), True)


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        ("/items/static", "GET /items/static", None),
        ("/items/a%20b", "GET /items/{item_id}", {"item_id": "a b"}),
        ("/items/a%2Fb", "GET /items/{item_id}", {"item_id": "a/b"}),
        ("/items/a/b", "GET /items/{rest+}", {"rest": "a/b"}),
    ],
)
def test_the_most_specific_route_wins(http: httpx.Client, path: str, route: str, parameters: object) -> None:
    event = event_of(http.get(path))
    assert event["routeKey"] == route
    assert event.get("pathParameters") == parameters


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", "/"), ("GET", "/items/"), ("POST", "/sleep")]
)
def test_an_unknown_route_is_a_404(http: httpx.Client, method: str, path: str) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.json()) == (404, {"message": "Not Found"})
    assert response.headers["apigw-requestid"]


@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        (None, 401, "Unauthorized"),
        ("", 401, "Unauthorized"),
        ("bad", 403, "Forbidden"),
        ("broken", 500, "Internal Server Error"),
        ("malformed", 500, "Internal Server Error"),
    ],
)
def test_the_authorizer_refuses(http: httpx.Client, key: str | None, status: int, message: str) -> None:
    response = http.get("/guarded", headers={} if key is None else {"X-API-KEY": key})
    assert (response.status_code, response.json()) == (status, {"message": message})


def test_the_authorizers_answer_is_remembered_by_key(http: httpx.Client) -> None:
    contexts = [
        event_of(http.get("/guarded", headers={"x-api-key": "good"}))["requestContext"]["authorizer"]["lambda"]
        for _ in range(2)
    ]
    assert contexts[0]["type"] == "REQUEST"
    assert contexts[0]["call"] == contexts[1]["call"]


def test_cors_preflight(http: httpx.Client) -> None:
    asked = {"Origin": "https://studio.example", "Access-Control-Request-Method": "POST"}
    response = http.options("/guarded", headers=asked)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "https://studio.example"
    assert response.headers["access-control-allow-methods"] == "GET,POST"
    assert response.headers["access-control-allow-headers"] == "content-type,x-api-key"
    assert response.headers["access-control-max-age"] == "600"
    stranger = http.options("/guarded", headers={**asked, "Origin": "https://evil.example"})
    assert (stranger.status_code, "access-control-allow-origin" in stranger.headers) == (204, False)


def test_cors_headers_are_the_apis_and_not_the_functions(http: httpx.Client) -> None:
    answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://evil.example"}, "body": ""}
    response = http.post("/answer", json=answer, headers={"Origin": "https://other.example"})
    assert response.headers["access-control-allow-origin"] == "https://other.example"
    assert response.headers["access-control-expose-headers"] == "x-request-id"
    # What the API answers by itself has them too.
    refused = http.get("/guarded", headers={"Origin": "https://other.example"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://other.example")


def test_a_full_response(http: httpx.Client) -> None:
    answer = {
        "statusCode": 201,
        "headers": {"X-Number": 3, "Content-Type": "image/png"},
        "cookies": ["a=1; Secure", "b=2"],
        "body": base64.b64encode(b"\x89PNG").decode(),
        "isBase64Encoded": True,
    }
    response = http.post("/answer", json=answer)
    assert (response.status_code, response.content) == (201, b"\x89PNG")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-number"] == "3"
    assert response.headers.get_list("set-cookie") == ["a=1; Secure", "b=2"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [({"a": 1}, b'{"a": 1}'), ("plain", b"plain"), ([1, 2], b"[1, 2]")],
)
def test_a_bare_value_is_a_200(http: httpx.Client, answer: object, body: bytes) -> None:
    response = http.post("/answer", json=answer)
    assert (response.status_code, response.content) == (200, body)
    assert response.headers["content-type"] == "application/json"


def test_a_response_without_a_type_is_text(http: httpx.Client) -> None:
    response = http.post("/answer", json={"statusCode": 200, "body": "x"})
    assert response.headers["content-type"] == "text/plain;charset=UTF-8"


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "never"},
        {"statusCode": 1000},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "***", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["x"]},
        {"size": 6_300_000},
    ],
)
def test_a_malformed_response_is_a_500(http: httpx.Client, answer: object) -> None:
    response = http.post("/answer", json=answer)
    assert (response.status_code, response.json()) == (500, BROKEN)


def test_a_response_may_be_big(http: httpx.Client) -> None:
    assert len(http.post("/answer", json={"size": 6_000_000}).content) == 6_000_000


def test_a_body_over_10_mb_is_a_413(http: httpx.Client) -> None:
    response = http.post("/nowhere", content=b"x" * (10 * 1024 * 1024 + 1))
    assert (response.status_code, response.json()) == (413, TOO_LARGE)


def test_an_event_over_6_mb_is_a_413(http: httpx.Client) -> None:
    fits, passes = b"x" * 4_500_000, b"x" * 4_900_000  # a third more in base64
    assert http.post("/echo", content=fits, headers={"Content-Type": "image/png"}).status_code == 200
    response = http.post("/echo", content=passes, headers={"Content-Type": "image/png"})
    assert (response.status_code, response.json()) == (413, TOO_LARGE)


@pytest.mark.parametrize("path", ["/crash/raise", "/crash/exit", "/crash/kill", "/broken"])
def test_a_functions_failure_is_a_500(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    assert (response.status_code, response.json()) == (500, BROKEN)


def test_a_route_that_takes_too_long_is_a_503(http: httpx.Client) -> None:
    response = http.get("/sleep", params={"seconds": "0.8"})
    assert (response.status_code, response.json()) == (503, {"message": "Service Unavailable"})


def test_a_throttled_function_is_a_503(http: httpx.Client, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(http.get, "/reserved", params={"seconds": "3", "mark": str(mark)})
        until(mark.exists)
        assert http.get("/reserved").status_code == 503
        assert first.result().status_code == 200
