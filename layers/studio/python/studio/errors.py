"""What a caller is told when a request cannot be served."""

from http import HTTPStatus

from pydantic import BaseModel, Field


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
    """The caller's key has not the scope for this."""

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


class UnavailableError(StudioError):
    """Something that Studio depends on does not answer, or is not configured."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "UNAVAILABLE"
