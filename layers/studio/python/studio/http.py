"""The factory of every HTTP function: validation, the error envelope, request id, logs, metrics, traces."""

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as RouteNotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import OpenAPIRequestValidationMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError, ResponseValidationError
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, ValidationError

from studio.caller import Caller
from studio.errors import (
    BadRequestError,
    ErrorBody,
    ErrorResponse,
    ForbiddenError,
    StudioError,
    TooManyRequestsError,
    UnavailableError,
    UnsupportedMediaError,
    refuse_fields,
    unavailable_dependency,
)
from studio.json_body import read_json
from studio.observability import count, logger, tracer
from studio.settings import Settings

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

_ANSWER_SECONDS = 4  # from the end of a wait to that of the function
_LOCATION: OpenAPIResponseHeader = {
    "description": "The path of the job's status: its `status_url`.",
    "schema": {"type": "string"},
}


class HttpSettings(Settings):
    """What every function behind the API keeps to."""

    requests_per_minute: int = Field(default=0, ge=0, description="Of one API key; 0 for no limit.")


def get_caller(app: APIGatewayHttpResolver) -> Caller:
    """Who sent the request that the app is serving.

    Parameters
    ----------
    app : APIGatewayHttpResolver

    Returns
    -------
    Caller

    Raises
    ------
    ForbiddenError
        If the authorizer named nobody: on a route that has none.
    """
    authorizer = app.current_event.request_context.authorizer
    found = authorizer.get_lambda if authorizer else {}
    if not found.get("user_id"):
        raise ForbiddenError("the request carries no authorized caller")
    return Caller(user_id=found["user_id"], key_id=found["key_id"], scopes=frozenset(found["scopes"].split()))


def get_api_key(app: APIGatewayHttpResolver) -> str:
    """Return the key of the request that the app is serving, as it was sent: the authorizer's answer may be older.

    Parameters
    ----------
    app : APIGatewayHttpResolver

    Returns
    -------
    str
        A secret.
    """
    api_key: str = app.current_event.headers.get("x-api-key", "")
    return api_key


def get_address(app: APIGatewayHttpResolver) -> str:
    """Where the request comes from that the app is serving.

    Parameters
    ----------
    app : APIGatewayHttpResolver

    Returns
    -------
    str
        An IP address, as API Gateway saw it: a header could say anything.
    """
    address: str = app.current_event.request_context.http.source_ip
    return address


def get_request_id(app: APIGatewayHttpResolver) -> str:
    """Id of the request that the app is serving, which its answer and our logs have.

    Parameters
    ----------
    app : APIGatewayHttpResolver

    Returns
    -------
    str
    """
    request_id: str = app.current_event.request_context.request_id
    return request_id


def get_job_id(app: APIGatewayHttpResolver) -> str | None:
    """Id for the job that a request starts, where it has an Idempotency-Key.

    Parameters
    ----------
    app : APIGatewayHttpResolver

    Returns
    -------
    str or None
        Of a request that is sent again because its first function died, the same as then: the job may be there.
    """
    job_id: str | None = app.context.get("job_id")
    return job_id


def get_deadline(app: APIGatewayHttpResolver) -> float:
    """When a request that waits must begin to answer, so that it is the function that does.

    Parameters
    ----------
    app : APIGatewayHttpResolver

    Returns
    -------
    float
        Of `time.monotonic`: 25 s after the function began, in one that has 29 s.
    """
    left_seconds: float = app.lambda_context.get_remaining_time_in_millis() / 1000
    return time.monotonic() + left_seconds - _ANSWER_SECONDS


def answers(success: int, *errors: int, models: dict[int, type[BaseModel]] | None = None) -> dict[int, OpenAPIResponse]:
    """Document what a route answers.

    Parameters
    ----------
    success : int
        Its body is what the route returns; a 204 has none.
    *errors : int
        Beside 422 and 500, which every route can answer; all have the one envelope.
    models : dict of int to type
        Bodies of successes, where a route has several.

    Returns
    -------
    dict
        For a route's ``responses``.
    """
    documented: dict[int, OpenAPIResponse] = {success: {"description": HTTPStatus(success).phrase}}
    if success == HTTPStatus.NO_CONTENT:
        documented[success]["content"] = {}
    for status, model in (models or {}).items():
        content: Any = {"application/json": {"model": model}}
        documented[status] = {"description": HTTPStatus(status).phrase, "content": content}
    if HTTPStatus.ACCEPTED in documented:
        documented[HTTPStatus.ACCEPTED]["headers"] = {"location": _LOCATION}
    for status in sorted({*errors, 422, 500}):
        documented[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"model": ErrorResponse}},
        }
    return documented


def create_app() -> APIGatewayHttpResolver:
    """Make the resolver of one function.

    Returns
    -------
    APIGatewayHttpResolver
        It validates requests and responses, and answers every error with `studio.errors.ErrorResponse`.
    """
    app = APIGatewayHttpResolver(
        enable_validation=True,
        response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    app._request_validation_middleware = _JsonBodies()  # type: ignore[no-untyped-call]
    app.use(middlewares=[_add_headers])

    def answer(error: StudioError) -> Response[str]:
        return _refuse(error, get_request_id(app))

    def refuse_invalid(error: RequestValidationError) -> Response[str]:
        return answer(_explain(error))

    def refuse_encoding(error: UnicodeDecodeError) -> Response[str]:
        return answer(BadRequestError("the body is not UTF-8", code="MALFORMED_JSON"))

    def refuse_unknown_route(error: RouteNotFoundError) -> Response[str]:
        # Raised, not answered: an answer would pass the middlewares, which take it for a route's.
        raise _UnknownRouteError("there is no such route")

    def fail(error: Exception) -> Response[str]:
        return answer(_explain_failure(error))

    app.exception_handler(StudioError)(answer)
    app.exception_handler(RequestValidationError)(refuse_invalid)
    app.exception_handler(UnicodeDecodeError)(refuse_encoding)
    app.exception_handler(RouteNotFoundError)(refuse_unknown_route)
    app.exception_handler([ResponseValidationError, Exception])(fail)
    return app


def create_handler(app: APIGatewayHttpResolver, *, idempotent: bool = False, scope: str | None = None) -> Handler:
    """Make the Lambda handler of an app.

    Parameters
    ----------
    app : APIGatewayHttpResolver
    idempotent : bool
        Whether its route takes an Idempotency-Key: see `studio.idempotency.run_once`.
    scope : {"grade", "export"}, optional
        What a key must have for a previous answer of the route, which is given without asking the route itself.

    Returns
    -------
    callable
        Takes an HTTP API event (payload 2.0) and Lambda's context. Neither event nor answer is logged or traced:
        both may carry secrets.
    """
    if idempotent:
        app.use(middlewares=[_once(scope)])

    @logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
    @tracer.capture_lambda_handler(capture_response=False)
    def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        limit = HttpSettings.load().requests_per_minute
        if limit and "authorizer" in event["requestContext"]:
            return _count_request(app, event, context, limit)
        return app.resolve(event, context)

    handler: Handler = lambda_handler
    return handler


class _JsonBodies(OpenAPIRequestValidationMiddleware):
    """Takes JSON alone, and as documented: Powertools reads forms, fails on some, and has pydantic convert types."""

    def _get_body(self, app: Any) -> Any:
        given = app.current_event.headers.get("content-type", "")
        if given.partition(";")[0].strip().lower() not in ("", content_types.APPLICATION_JSON):
            raise UnsupportedMediaError(f"the body must be application/json; got {given[:100]}")
        [body] = app.context["_route"].dependant.body_params
        if not (text := app.current_event.decoded_body):
            return None
        try:
            return read_json(body.type_, text)
        except ValidationError as error:
            raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


class _UnknownRouteError(StudioError):
    status = HTTPStatus.NOT_FOUND
    code = "ROUTE_NOT_FOUND"


def _count_request(
    app: APIGatewayHttpResolver, event: dict[str, Any], context: LambdaContext, limit: int
) -> dict[str, Any]:
    """Serve a request if its key may send one more this minute; before all else, so that wrong ones count too."""
    # Not at the top: it brings MongoDB's library, which some functions do without as long as there is no limit.
    from studio.quotas import count_request

    request_id = event["requestContext"]["requestId"]
    try:
        quota = count_request(event["requestContext"]["authorizer"]["lambda"]["key_id"], limit)
    except Exception as error:  # a quota that cannot be looked at is not one that is left
        return _to_event(_refuse(error if isinstance(error, StudioError) else _explain_failure(error), request_id))
    if quota.is_exceeded:
        message = f"a key may send {limit:,} requests a minute; the next begins in {quota.seconds_left} s"
        refusal = TooManyRequestsError(message, retry_after=quota.seconds_left)
        answer = _to_event(_refuse(refusal, request_id))
    else:
        answer = app.resolve(event, context)
    answer["headers"] |= quota.headers
    return answer


def _to_event(response: Response[str]) -> dict[str, Any]:
    headers = {"content-type": response.content_type, **response.headers}
    return {"statusCode": response.status_code, "headers": headers, "body": response.body, "isBase64Encoded": False}


def _refuse(error: StudioError, request_id: str) -> Response[str]:
    body = ErrorResponse(
        error=ErrorBody(code=error.code, message=error.message, details=error.details), request_id=request_id
    )
    headers = {"x-request-id": body.request_id}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    logger.info("answered with an error", status=int(error.status), code=error.code)
    return Response(
        status_code=error.status,
        content_type=content_types.APPLICATION_JSON,
        body=body.model_dump_json(),
        headers=headers,
    )


def _explain_failure(error: Exception) -> StudioError:
    """Tell what of an unexpected error a caller may know, and log the rest."""
    if dependency := unavailable_dependency(error):
        logger.exception("dependency unavailable", dependency=dependency)
        count("DependencyUnavailable")
        return UnavailableError(f"{dependency} does not answer; try again shortly", retry_after=2)
    logger.exception("unhandled error")
    count("UnhandledError")
    return StudioError("something went wrong on our side; quote the request id when you report it")


def _add_headers(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    response = next_middleware(app)
    response.headers["x-request-id"] = get_request_id(app)
    if response.status_code == HTTPStatus.ACCEPTED:  # a previous answer's body is text
        body: Any = json.loads(response.body) if isinstance(response.body, str) else response.body
        response.headers["location"] = body["status_url"]
    if response.status_code == HTTPStatus.NO_CONTENT:
        response.body = ""  # Powertools would write None as null
    return response


def _once(scope: str | None) -> Callable[..., Response[Any]]:
    """Return what gives a request with an Idempotency-Key its previous answer, if its key has the scope."""

    def run(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        # What no route has passes the middlewares too, by a rule that fits all; its body is not looked at.
        is_unknown = app.context["_route"].rule.pattern == "^.*$"
        if is_unknown or "idempotency-key" not in app.current_event.headers:
            return next_middleware(app)
        # Not at the top: it brings MongoDB's library, which a request without a key may do without.
        from studio.idempotency import run_once

        caller = get_caller(app)
        if scope:
            caller.require(scope)
        return run_once(app, caller, next_middleware)

    return run


def _explain(error: RequestValidationError) -> StudioError:
    """Turn pydantic's errors into the envelope: the field, its limit, what was given."""
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return BadRequestError(f"the body is not valid JSON: {errors[0]['ctx']['error']}", code="MALFORMED_JSON")
    # The first part says where the field is (body, query, path): nobody names a field so.
    return refuse_fields([(item["loc"][1:] or item["loc"][:1], item) for item in errors])
