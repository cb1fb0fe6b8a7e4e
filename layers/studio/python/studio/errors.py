"""What a caller is told when a request cannot be served."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

# Never repeated in an error; a test holds it against every password in the OpenAPI document.
SECRET_FIELDS = frozenset({"password", "invite"})

_MOST_DETAILS = 100
_THROTTLED = re.compile("Throttl|TooManyRequests|RequestLimitExceeded|SlowDown")  # by AWS, some of it with a 400
# What says that a dependency is down. Told by name, since a function imports only the libraries of what it uses.
_UNAVAILABLE = {
    "ConnectionFailure": "MongoDB",
    "ConfigurationError": "MongoDB",  # also of a cluster whose name is not resolved
    "WaitQueueTimeoutError": "MongoDB",
    "ExecutionTimeout": "MongoDB",
    "HTTPClientError": "AWS",
    "ConnectionError": "AWS",
    "IncompleteReadError": "AWS",
    "RetriesExceededError": "AWS",  # of a download that broke off again and again
    "GetParameterError": "Secrets Manager",
}


class ErrorDetail(BaseModel):
    """One field that is wrong."""

    field: str = Field(description="Path of the field, dots between its parts.", examples=["output.quality"])
    message: str = Field(description="What is wrong with it, its limit and what was given.")


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs; stable.", examples=["IMAGE_TOO_LARGE"])
    message: str = Field(description="For people: what, the limit, what was given.")
    details: list[ErrorDetail] = Field(default=[], description="The fields that are wrong.")


class ErrorResponse(BaseModel):
    """The one envelope of every error that a function answers."""

    error: ErrorBody
    request_id: str = Field(description="Names the request in our logs.")


class StudioError(Exception):
    """An answer other than success; handlers let it rise, `studio.http` turns it into the envelope.

    Parameters
    ----------
    message : str
        For people: what, the limit, what was given.
    code : str, optional
        For programs; the class's own where not given.
    field : str, optional
        Path of the field that is wrong.
    retry_after : int, optional
        Seconds after which another try makes sense.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "INTERNAL_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.details = [ErrorDetail(field=field, message=message)] if field else []
        self.retry_after = retry_after


class BadRequestError(StudioError):
    """The request cannot be read at all."""

    status = HTTPStatus.BAD_REQUEST
    code = "BAD_REQUEST"


class InvalidCredentialsError(StudioError):
    """Wrong email or password."""

    status = HTTPStatus.UNAUTHORIZED
    code = "INVALID_CREDENTIALS"


class ForbiddenError(StudioError):
    """The caller's key lacks the required scope."""

    status = HTTPStatus.FORBIDDEN
    code = "FORBIDDEN"


class NotFoundError(StudioError):
    """There is no such thing, or it is another user's."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class ConflictError(StudioError):
    """The request contradicts what is stored."""

    status = HTTPStatus.CONFLICT
    code = "CONFLICT"


class GoneError(StudioError):
    """What was asked for was there once, and has expired."""

    status = HTTPStatus.GONE
    code = "GONE"


class TooLargeError(StudioError):
    """More bytes or pixels than allowed."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "TOO_LARGE"


class UnsupportedMediaError(StudioError):
    """Content of a kind that is not accepted."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_MEDIA_TYPE"


class InvalidFieldError(StudioError):
    """A field's value is out of its range or does not fit the others."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "INVALID_FIELD"


class TooManyRequestsError(StudioError):
    """The caller has to wait."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "TOO_MANY_REQUESTS"


class UnavailableError(StudioError):
    """Something that Studio depends on does not answer, or is not configured."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "UNAVAILABLE"


def refuse_fields(problems: Sequence[tuple[Sequence[str | int], Mapping[str, Any]]]) -> InvalidFieldError:
    """Turn what pydantic finds wrong into the answer that names each field, its limit and what was given.

    Parameters
    ----------
    problems : sequence of (path, error)
        The path of the field as the sender knows it, and one of pydantic's ``errors()``.

    Returns
    -------
    InvalidFieldError
        Its details are the first hundred; its message tells how many there are.
    """
    details = []
    for path, error in problems[:_MOST_DETAILS]:
        field, given = ".".join(map(str, path)), error.get("input")
        # A field that we do not know may be a misspelt password.
        is_unknown = error["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        is_secret = field in SECRET_FIELDS or is_unknown
        tell = isinstance(given, str | int | float | bool) and not is_secret
        shown = f"; got {given!r:.100}" if tell else ""
        # pydantic's words for what a validator of ours raises, and for the length of a secret.
        why = "there is no such field" if is_unknown else error["msg"].removeprefix("Value error, ")
        why = re.sub(r"^Value should have (.+) items? after validation", r"String should have \1 characters", why)
        details.append(ErrorDetail(field=field, message=f"{why}{shown}"))
    told = "; ".join(f"{detail.field}: {detail.message}" for detail in details[:3])
    more = f"; and {len(problems) - 3:,} more" if len(problems) > 3 else ""
    refusal = InvalidFieldError(told + more)
    refusal.details = details
    return refusal


def unavailable_dependency(error: Exception) -> str | None:
    """Name what an exception says is down or too busy, so that another try may do.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    str or None
        None where it says nothing of the kind.
    """
    names = [base.__name__ for base in type(error).__mro__]
    if "S3UploadFailedError" in names and isinstance(error.__context__, Exception):
        return unavailable_dependency(error.__context__)  # which has S3's answer
    # The SDK's time-outs have a response too, which is None.
    answer: dict[str, Any] = getattr(error, "response", None) or {}
    if "ClientError" in names:
        status, code = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), answer.get("Error", {}).get("Code")
        if status >= 500 or _THROTTLED.search(code or ""):
            return "AWS"
    if type(error).__name__ == "OperationFailure" and getattr(error, "code", None) in (18, 8000):
        return "MongoDB"  # its password was rotated; studio.mongo reads the new one
    return next((_UNAVAILABLE[name] for name in names if name in _UNAVAILABLE), None)
