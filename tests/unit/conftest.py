import json
from collections.abc import Callable
from typing import Any

import pytest

from studio.http import Handler
from tests.lambda_context import Context

Invoke = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Studio")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "studio")


@pytest.fixture
def invoke() -> Invoke:
    """Call a handler with an HTTP API event and return its answer, the body parsed and, as `text`, as it is."""

    def call(
        handler: Handler,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        scopes: str | None = None,
        is_base64: bool = False,
    ) -> dict[str, Any]:
        request_context: dict[str, Any] = {
            "requestId": "request-1",
            "stage": "$default",
            "http": {"method": method, "path": path},
        }
        if scopes is not None:
            request_context["authorizer"] = {
                "lambda": {"user_id": "usr_" + "0" * 24, "key_id": "key_1", "scopes": scopes}
            }
        answer = handler(
            {
                "version": "2.0",
                "rawPath": path,
                "headers": {"content-type": content_type},
                "requestContext": request_context,
                "body": body if isinstance(body, str | None) else json.dumps(body),
                "isBase64Encoded": is_base64,
            },
            Context(),  # type: ignore[arg-type]
        )
        return answer | {"text": answer["body"], "body": json.loads(answer["body"]) if answer["body"] else None}

    return call
