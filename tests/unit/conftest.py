import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from studio.http import Handler

Invoke = Callable[..., dict[str, Any]]


@dataclass
class Context:
    function_name: str = "test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:test"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"


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
