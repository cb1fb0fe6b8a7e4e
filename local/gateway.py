"""The HTTP API: requests become payload 2.0 events, a function's answer becomes a response, as in API Gateway."""

import base64
import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, unquote

import anyio
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from local.lambda_runtime import MAX_RESPONSE_BYTES, Outcome, TooManyRequestsError, WorkerPool
from local.template import ACCOUNT_ID, REGION, Authorizer, Route

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_EVENT_BYTES = MAX_RESPONSE_BYTES
AUTHORIZER_SECONDS = 10
API_ID = "local"
# As measured on AWS: every other type, a form's and none at all too, reaches the function in base64.
TEXT_TYPES = re.compile(r"text/.*|application/(json|xml|javascript)")

logger = logging.getLogger("local.gateway")


class Gateway:
    """An ASGI application that answers like an HTTP API of API Gateway.

    Parameters
    ----------
    routes
        The API's routes.
    cors
        Its `CorsConfiguration`.
    functions
        The functions behind it, by name.
    """

    def __init__(self, routes: list[Route], cors: Mapping[str, Any], functions: Mapping[str, WorkerPool]) -> None:
        self._routes = [(_pattern(route.path), route) for route in sorted(routes, key=_rank)]
        self._cors = cors
        self._functions = functions
        self._decisions: dict[tuple[str, ...], tuple[float, dict[str, Any]]] = {}
        self._threads = anyio.CapacityLimiter(256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        request_id = base64.b64encode(uuid.uuid4().bytes[:11]).decode()
        started = time.perf_counter()
        try:
            response = await self._answer(request, request_id)
        except ClientDisconnect:
            return
        except HTTPException as error:  # what the HTTP API answers by itself
            response = JSONResponse({"message": error.detail}, error.status_code)
        response.headers["apigw-requestid"] = request_id
        self._add_cors(request, response)
        await response(scope, receive, send)
        elapsed = 1000 * (time.perf_counter() - started)
        logger.info("%s %s %d %.1f ms", request.method, request.url.path, response.status_code, elapsed)

    async def _answer(self, request: Request, request_id: str) -> Response:
        is_preflight = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        if self._cors and is_preflight:
            return Response(status_code=204)
        body = await _read(request)
        route, path_parameters = self._match(request)
        event = _event(request, route, path_parameters, request_id)
        if route.authorizer:
            decision = await self._authorize(route.authorizer, request.headers, event)
            event["requestContext"]["authorizer"] = {"lambda": decision.get("context")}
        if body:
            event |= _encoded(request.headers, body)
        payload = json.dumps(event).encode()
        if len(payload) > MAX_EVENT_BYTES:
            raise HTTPException(413)
        outcome = await self._invoke(route.function, payload, route.timeout)
        if outcome.is_error:
            raise HTTPException(500)
        return _response(outcome.payload)

    def _match(self, request: Request) -> tuple[Route, dict[str, str]]:
        """Return the route of a request, and its path's parameters."""
        # Matched as it was sent: an encoded slash does not end a segment.
        path = request.scope["raw_path"].decode("latin-1")
        for pattern, route in self._routes:
            if route.method in (request.method, "ANY") and (match := pattern.fullmatch(path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        raise HTTPException(404)

    async def _authorize(self, authorizer: Authorizer, headers: Headers, event: dict[str, Any]) -> dict[str, Any]:
        """Return the authorizer's decision, which allows; ask only when no answer is remembered."""
        identity = tuple(headers.get(name, "") for name in authorizer.headers)
        if not all(identity):
            raise HTTPException(401)
        key = (authorizer.function, *identity)
        now = time.monotonic()
        until, decision = self._decisions.get(key, (0.0, {}))
        if until <= now:
            question = {
                **event,
                "type": "REQUEST",
                "routeArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{API_ID}/$default/"
                + event["routeKey"].replace(" ", ""),
                "identitySource": list(identity),
            }
            question.pop("isBase64Encoded")
            try:
                outcome = await self._invoke(authorizer.function, json.dumps(question).encode(), AUTHORIZER_SECONDS)
            except HTTPException:
                raise HTTPException(500) from None
            decision = _decoded(outcome.payload)
            if outcome.is_error or not isinstance(decision, dict) or not isinstance(decision.get("isAuthorized"), bool):
                raise HTTPException(500)
            self._decisions = {key: kept for key, kept in self._decisions.items() if kept[0] > now}
            self._decisions[key] = (now + authorizer.cache_seconds, decision)
        if not decision["isAuthorized"]:
            raise HTTPException(403)
        return decision

    async def _invoke(self, function: str, payload: bytes, timeout: float) -> Outcome:
        pool = self._functions[function]
        with anyio.move_on_after(timeout):
            try:
                # The function goes on when the API has stopped waiting, as in AWS.
                return await run_sync(pool.invoke, payload, abandon_on_cancel=True, limiter=self._threads)
            except TooManyRequestsError:
                pass
        raise HTTPException(503)

    def _add_cors(self, request: Request, response: Response) -> None:
        """Set the CORS headers; the API's own configuration takes the place of what a function says."""
        if not self._cors:
            return
        for name in [name for name in response.headers if name.startswith("access-control-")]:
            del response.headers[name]
        origin = request.headers.get("origin")
        allowed = self._cors.get("AllowOrigins", [])
        if origin is None or not any(fnmatchcase(origin, pattern) for pattern in allowed):
            return
        headers = response.headers
        headers["access-control-allow-origin"] = "*" if "*" in allowed else origin
        if "*" not in allowed:
            headers["vary"] = "origin"
        if request.method == "OPTIONS":
            headers["access-control-allow-methods"] = ",".join(self._cors.get("AllowMethods", []))
            headers["access-control-allow-headers"] = ",".join(self._cors.get("AllowHeaders", []))
            headers["access-control-max-age"] = str(self._cors.get("MaxAge", 0))
        elif expose := self._cors.get("ExposeHeaders"):
            headers["access-control-expose-headers"] = ",".join(expose)


def _rank(route: Route) -> list[tuple[int, bool]]:
    """Sort static segments before parameters, those before greedy ones, and a method before ANY."""
    return [
        (2 if segment.endswith("+}") else 1 if segment.startswith("{") else 0, route.method == "ANY")
        for segment in route.path.split("/")
    ]


def _pattern(path: str) -> re.Pattern[str]:
    """Return what matches a route's path, with a group for each parameter; `+` makes it greedy."""
    parameter = r"\\\{(\w+)(\\\+)?\\\}"
    return re.compile(
        re.sub(parameter, lambda found: f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})", re.escape(path))
    )


async def _read(request: Request) -> bytes:
    """Return the body; one that is too big is read to its end, so that the client gets to read the answer."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
    if size > MAX_BODY_BYTES:
        raise HTTPException(413)
    return b"".join(chunks)


def _event(request: Request, route: Route, path_parameters: dict[str, str], request_id: str) -> dict[str, Any]:
    """Return a request's event in payload format 2.0, without its body."""
    host = request.headers.get("host", "localhost")
    source_ip = request.client.host if request.client else "127.0.0.1"
    now = datetime.now(UTC)
    headers = {
        **_joined([(name, value) for name, value in request.headers.items() if name not in ("cookie", "connection")]),
        "x-amzn-trace-id": f"Root=1-{int(now.timestamp()):08x}-{uuid.uuid4().hex[:24]}",
        "x-forwarded-for": source_ip,
        "x-forwarded-port": str(request.url.port or 80),
        "x-forwarded-proto": "http",
    }
    path = unquote(request.scope["raw_path"].decode("latin-1"))
    query = request.scope["query_string"].decode("latin-1")
    cookies = [cookie.strip() for line in request.headers.getlist("cookie") for cookie in line.split(";")]
    return {
        "version": "2.0",
        "routeKey": f"{route.method} {route.path}",
        "rawPath": path,
        "rawQueryString": query,
        **({"cookies": cookies} if cookies else {}),
        "headers": headers,
        **({"queryStringParameters": _joined(parse_qsl(query, keep_blank_values=True))} if query else {}),
        **({"pathParameters": path_parameters} if path_parameters else {}),
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": host.partition(":")[0],
            "domainPrefix": host.partition(".")[0].partition(":")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": f"HTTP/{request.scope['http_version']}",
                "sourceIp": source_ip,
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": f"{route.method} {route.path}",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _encoded(headers: Headers, body: bytes) -> dict[str, Any]:
    """Return the part of an event that carries its body."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if TEXT_TYPES.fullmatch(media_type) and "content-encoding" not in headers:
        return {"body": body.decode(errors="replace"), "isBase64Encoded": False}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        raise HTTPException(500) from None


def _response(payload: bytes) -> Response:
    """Return the response that a function's answer describes."""
    answer = _decoded(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        content = answer.encode() if isinstance(answer, str) else payload
        return Response(content, media_type="application/json")
    try:
        status = int(answer["statusCode"])
        body = answer.get("body") or ""
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
        given = (answer.get("headers") or {}).items()
    except (ValueError, TypeError, AttributeError):
        raise HTTPException(500) from None
    if not 100 <= status <= 599:
        raise HTTPException(500)
    headers = {name.lower(): value if isinstance(value, str) else json.dumps(value) for name, value in given}
    for name in ("content-length", "transfer-encoding", "connection"):  # the connection's own, and ours to say
        headers.pop(name, None)
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    response = Response(b"" if status in (204, 304) else content, status, headers)
    for cookie in answer.get("cookies") or []:
        response.headers.append("set-cookie", cookie)
    return response
