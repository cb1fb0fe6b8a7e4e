"""Merge every function's part into the one OpenAPI document: `python -m local.openapi`."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn, License

import studio
from local.layers import ROOT
from studio.idempotency import HEADER, KEPT_SECONDS, KEY_PATTERN, REPLAYED_HEADER

DOCUMENT = ROOT / "functions/web/serve_pages/openapi.json"
PUBLIC_PATHS = {"/health", "/auth/register", "/auth/login"}
IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": "Makes it safe to send the request again; any text of your own, a UUID say. For "
    f"{KEPT_SECONDS // 3600} hours the same body with the same key is answered what it was answered first, with the "
    f"header `{REPLAYED_HEADER}: true`. A picture's URL in it is fresh, and a 410 `RESULT_EXPIRED` says that the "
    "picture was purged since; an upload's form is the first one, and ends at its `expires_at`. Another body is a 409 "
    "`IDEMPOTENCY_MISMATCH`; as long as the first request runs, the same body is a 409 `IDEMPOTENCY_IN_PROGRESS`. "
    "Errors are not kept: the same key tries anew.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": KEY_PATTERN},
}
# What API Gateway answers before or instead of a function.
GATEWAY_ERROR = {
    "title": "GatewayError",
    "description": "What the HTTP API answers by itself.",
    "type": "object",
    "properties": {"message": {"type": "string", "examples": ["Unauthorized"]}},
    "required": ["message"],
}
# Powertools documents its own validation answers beside the envelope that ours replace them with.
UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")


def api_files() -> list[Path]:
    """Handlers that describe their routes, which is every one built by `studio.http.create_app`."""
    return sorted(path for path in ROOT.glob("functions/*/*/app.py") if "create_app()" in path.read_text())


def idempotent_operations() -> set[str]:
    """Operations that take an Idempotency-Key; an operation has the name of its function's folder."""
    return {path.parent.name for path in api_files() if "idempotent=True" in path.read_text()}


def build() -> dict[str, Any]:
    """Make the OpenAPI 3.1 document of the whole API.

    Returns
    -------
    dict
    """
    merge = OpenAPIMerge(
        title="Studio",
        version=studio.__version__,
        description="Grades images and exports films. Send your API key as X-API-KEY.\n\n"
        'What the HTTP API answers by itself has the body `{"message": …}`: a missing key 401, a wrong, expired or '
        "revoked key 403, an unknown route 404, a request over 6 MB 413, too many requests of all 429. Everything else "
        "has the envelope `ErrorResponse`.\n\n"
        "Where the deployment limits the requests of a key, each answer says how many are left, in the headers "
        '`RateLimit-Policy` and `RateLimit` of the IETF\'s draft: `"key";q=600;w=60` and `"key";r=599;t=42`. One too '
        "many is a 429 `TOO_MANY_REQUESTS` with `Retry-After`; so is a job beside as many others as a user may have at "
        "once, `TOO_MANY_JOBS`.",
        license_info=License(name="MIT"),
        security_schemes={"ApiKey": APIKey(name="X-API-KEY", in_=APIKeyIn.header)},
        security=[{"ApiKey": []}],
        on_conflict="error",
    )
    for path in api_files():
        merge.add_file(path)
    document: dict[str, Any] = json.loads(merge.get_openapi_json_schema())
    schemas = document["components"]["schemas"]
    idempotent = idempotent_operations()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if "callback_url" in _body_schema(operation, schemas).get("properties", {}):
                operation["callbacks"] = {"job_is_over": {"{$request.body#/callback_url}": {"post": _callback()}}}
            responses = operation["responses"]
            responses["500"] = _error_response("Internal Server Error")
            by_itself = {
                HTTPStatus.TOO_MANY_REQUESTS,
                HTTPStatus.INTERNAL_SERVER_ERROR,
                HTTPStatus.SERVICE_UNAVAILABLE,
            }
            if "requestBody" in operation:
                by_itself.add(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if path in PUBLIC_PATHS:
                operation["security"] = []
            else:
                responses["429"] = _error_response("Too Many Requests")
                by_itself |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
            for status in by_itself:
                responses[str(int(status))] = _or_gateway_error(status, responses.get(str(int(status))))
            if operation["operationId"] in idempotent:
                operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    schemas["GatewayError"] = GATEWAY_ERROR
    document["components"]["parameters"] = {"IdempotencyKey": IDEMPOTENCY_KEY}
    for name in UNUSED_SCHEMAS:
        schemas.pop(name, None)
    return document


def _body_schema(operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an operation's body; empty where it has none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    found: dict[str, Any] = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    return found


def _callback() -> dict[str, Any]:
    """Return what a receiver of callbacks must take, which Powertools has no way to say."""
    headers = {
        "studio-signature": "`t=<seconds>,v1=<hexadecimal>`; see `GET /compute-tasks/callback-secret`.",
        "studio-delivery": "The same for every try.",
    }
    return {
        "summary": "The job is over",
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobResponse"}}},
        },
        "responses": {"2XX": {"description": "Taken"}, "410": {"description": "Not wanted; it is not tried again"}},
        "security": [],
    }


def _error_response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorResponse"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _or_gateway_error(status: HTTPStatus, documented: dict[str, Any] | None) -> dict[str, Any]:
    """Return a response that may be the function's, where one is documented, or the HTTP API's own."""
    schema: dict[str, Any] = {"$ref": "#/components/schemas/GatewayError"}
    if documented:
        schema = {"anyOf": [documented["content"]["application/json"]["schema"], schema]}
    return {"description": status.phrase, "content": {"application/json": {"schema": schema}}}


if __name__ == "__main__":
    DOCUMENT.write_text(json.dumps(build(), indent=2, ensure_ascii=False, sort_keys=True) + "\n")
