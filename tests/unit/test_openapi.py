"""The OpenAPI document against the code, the template and itself."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from local import openapi
from studio.compute_tasks.registry import TASKS
from studio.errors import SECRET_FIELDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text())
    return loaded


def test_the_committed_document_is_what_the_code_makes(document: dict[str, Any]) -> None:
    assert document == openapi.build(), "run just openapi"


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def collisions(parts: dict[str, dict[str, Any]]) -> list[str]:
    """Schemas that two handlers define differently under one name: the merge keeps the last without a word."""
    seen: dict[str, tuple[str, Any]] = {}
    found = []
    for source, schemas in parts.items():
        for name, schema in schemas.items():
            first, known = seen.setdefault(name, (source, schema))
            if known != schema:
                found.append(f"{name}: {first} and {source}")
    return found


def test_no_two_handlers_define_one_name_differently() -> None:
    parts = {}
    for path in openapi.api_files():
        app = runpy.run_path(str(path))["app"]
        schema = app.get_openapi_schema().model_dump(by_alias=True, exclude_none=True)
        parts[path.parent.name] = schema["components"]["schemas"]
    assert len(parts) >= 10
    assert collisions(parts) == []


def test_a_collision_would_be_found() -> None:
    assert collisions({"a": {"Item": {"type": "string"}}, "b": {"Item": {"type": "integer"}}}) == ["Item: a and b"]


def test_every_password_is_kept_out_of_errors(document: dict[str, Any]) -> None:
    secret = {
        name
        for schema in document["components"]["schemas"].values()
        for name, field in schema.get("properties", {}).items()
        if '"format": "password"' in json.dumps(field)
    }
    assert secret == SECRET_FIELDS


def test_a_cursor_is_one_that_was_given(document: dict[str, Any]) -> None:
    """Another text would be a page of no matter what."""
    cursors = {
        operation["operationId"]: parameter["schema"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter.get("name") == "cursor"
    }
    assert len(cursors) == 6
    patterns = {name: schema["anyOf"][0]["pattern"] for name, schema in cursors.items()}
    assert [name for name, pattern in patterns.items() if re.search(pattern, "zzz")] == []


def test_tasks_by_which_jobs_are_listed_are_named(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/compute-tasks"]["get"]["parameters"]
    [schema] = [parameter["schema"] for parameter in parameters if parameter["name"] == "task_type"]
    assert schema["anyOf"][0] == {"type": "string", "enum": list(TASKS)}


def test_what_begins_or_makes_something_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    without = {
        *(
            "register_user",
            "login_user",
            "create_api_key",
            "rotate_api_key",
        ),  # their answers carry secrets, which are not to be kept
        "create_lut",  # keeps nothing
        "cancel_job",  # a second time, it changes nothing
    }
    posts = [operations["post"] for operations in document["paths"].values() if "post" in operations]
    parameter = {"$ref": "#/components/parameters/IdempotencyKey"}
    taking = {operation["operationId"] for operation in posts if parameter in operation.get("parameters", [])}
    assert taking == {operation["operationId"] for operation in posts} - without
    assert taking == openapi.idempotent_operations()
    assert all("409" in operation["responses"] for operation in posts if operation["operationId"] in taking)
    assert document["components"]["parameters"]["IdempotencyKey"]["name"] == "Idempotency-Key"


def test_every_error_has_the_envelope(document: dict[str, Any]) -> None:
    ours, gateways = ({"$ref": f"#/components/schemas/{name}"} for name in ("ErrorResponse", "GatewayError"))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["operationId"]
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/health":
                    schema = response["content"]["application/json"]["schema"]
                    assert schema in (ours, gateways, {"anyOf": [ours, gateways]}), f"{method} {path} {status}"


def test_what_takes_a_body_takes_json_alone(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                assert {"400", "415", "422"} <= operation["responses"].keys(), f"{method} {path}"


def test_what_the_gateway_answers_by_itself_is_documented(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_itself = {
                status
                for status, response in operation["responses"].items()
                if "GatewayError" in json.dumps(response.get("content", {}))
            }
            expected = {"429", "500", "503"} | ({"413"} if "requestBody" in operation else set())
            if "security" not in operation:
                expected |= {"401", "403"}
            assert by_itself == expected, f"{method} {path}"
