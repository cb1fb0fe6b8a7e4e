"""Asking a language model through OpenAI's SDK, in bounded time."""

import base64
import re
import threading
import time
from concurrent.futures import Future
from functools import cache
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from openai import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    OpenAI,
    RateLimitError,
    Timeout,
)
from pydantic import BaseModel

from studio.errors import InvalidFieldError, StudioError, UnavailableError
from studio.observability import count, logger
from studio.settings import forget_secrets, get_secret
from studio.tone_mapping.suggest.settings import SuggestSettings

if TYPE_CHECKING:
    from openai.types.responses import ParsedResponse, ResponseInputParam

_CONNECT_SECONDS = 3
_PAUSE_SECONDS = 0.3
_WORTH_SECONDS = 2  # less is not worth another try
_MAX_TOKENS = 4000  # reasoning included; the sliders themselves take some 300
_MOST_RETRY_AFTER = 3600
# https://platform.openai.com/docs/guides/error-codes: no waiting helps against these.
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_OF_THE_CONTENT = {"content_filter", "content_policy_violation", "invalid_prompt", "moderation_blocked"}

Answer = TypeVar("Answer", bound=BaseModel)


class _UnusableError(Exception):
    """An answer that is not what was asked for."""


_PASSING = (APIConnectionError, APIStatusError, _UnusableError)  # tried again; of statuses, those that may pass
_PASSING_STATUSES = {408, 409}


@cache
def _client() -> OpenAI:
    settings = SuggestSettings.load()
    if not settings.openai_secret_arn:
        raise UnavailableError("suggestions are not configured in this deployment", code="NOT_CONFIGURED")
    key = get_secret(settings.openai_secret_arn).strip()
    # Its own retries would wait as long as the server says.
    return OpenAI(api_key=key, base_url=settings.openai_base_url, max_retries=0)


def check() -> None:
    """Refuse where no language model is configured, before anything is loaded for it.

    Raises
    ------
    UnavailableError
        ``NOT_CONFIGURED``.
    """
    _client()


def ask(instructions: str, words: str, picture: bytes | None, form: type[Answer], seconds: float) -> Answer:
    """Have a form filled in; what failed by no fault of the request is tried once more, where time is left.

    Nothing is sent but the parameters, and none of it is to be kept by the receiver (``store`` is false).

    Parameters
    ----------
    instructions : str
        What it is about.
    words : str
        The user's.
    picture : bytes or None
        JPEG.
    form : type of pydantic.BaseModel
    seconds : float
        For all of it.

    Returns
    -------
    pydantic.BaseModel
        The form.

    Raises
    ------
    InvalidFieldError
        ``MODEL_REFUSED``: the language model, or its provider, will not do that.
    UnavailableError
        ``NOT_CONFIGURED``, ``MISCONFIGURED`` (the key or the model's name is wrong, or nothing is paid for),
        ``MODEL_BUSY``, ``MODEL_TIMEOUT``, ``MODEL_UNAVAILABLE`` or ``MODEL_UNUSABLE``.
    """
    deadline = time.monotonic() + seconds
    try:
        return _ask_once(instructions, words, picture, form, seconds)
    except _PASSING as error:
        if deadline - time.monotonic() < _WORTH_SECONDS:
            _raise_failure(error)
    time.sleep(_PAUSE_SECONDS)
    try:
        return _ask_once(instructions, words, picture, form, deadline - time.monotonic())
    except _PASSING as error:
        _raise_failure(error)


def _ask_once(instructions: str, words: str, picture: bytes | None, form: type[Answer], seconds: float) -> Answer:
    if seconds <= 0:
        _raise_timeout()
    client, model = _client(), SuggestSettings.load().openai_model
    content: list[dict[str, str]] = [{"type": "input_text", "text": words}]
    if picture is not None:
        url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        content.append({"type": "input_image", "image_url": url, "detail": "low"})
    messages = cast("ResponseInputParam", [{"role": "user", "content": content}])
    answered: Future[ParsedResponse[Answer]] = Future()

    def send() -> None:
        try:
            response = client.responses.parse(
                model=model,
                instructions=instructions,
                input=messages,
                text_format=form,
                max_output_tokens=_MAX_TOKENS,
                store=False,
                timeout=Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds)),
            )
        except BaseException as error:
            answered.set_exception(error)
        else:
            answered.set_result(response)

    # The SDK restarts its timeout with every byte, and some servers send blanks while they think.
    threading.Thread(target=send, name="language-model", daemon=True).start()
    try:
        return _read(answered.result(seconds))
    except (TimeoutError, APITimeoutError):
        _client.cache_clear()  # its connection may still be busy
        _raise_timeout()
    except APIStatusError as error:
        if error.status_code in _PASSING_STATUSES or error.status_code >= 500:
            raise
        _raise_status(error)
    except (ValueError, TypeError, AttributeError, RecursionError, APIResponseValidationError) as error:
        raise _UnusableError(type(error).__name__) from None


def _read(response: "ParsedResponse[Answer]") -> Answer:
    for item in response.output or []:
        for part in item.content or [] if item.type == "message" else []:
            if part.type == "refusal":
                _refuse(part.refusal)
    if response.output_parsed is not None:
        return response.output_parsed
    if response.incomplete_details and response.incomplete_details.reason == "content_filter":
        _refuse("its content filter stopped the answer")
    raise _UnusableError(response.status)


def _refuse(why: str) -> NoReturn:
    raise InvalidFieldError(f"the language model refused: {why:.300}", code="MODEL_REFUSED", field="prompt")


def _raise_timeout() -> NoReturn:
    _fail(UnavailableError("the language model did not answer in time", code="MODEL_TIMEOUT", retry_after=5))


def _raise_failure(error: Exception) -> NoReturn:
    if isinstance(error, _UnusableError):
        message, code = "the language model's answer could not be read", "MODEL_UNUSABLE"
    else:
        message, code = "the language model does not answer", "MODEL_UNAVAILABLE"
    _fail(UnavailableError(f"{message}; try again shortly", code=code, retry_after=5), error)


def _raise_status(error: APIStatusError) -> NoReturn:
    if error.code in _OF_THE_CONTENT:
        _refuse("its provider's rules are against it")
    if isinstance(error, RateLimitError) and error.code not in _OUT_OF_MONEY:
        message = "the language model has too much to do; try again later"
        _fail(UnavailableError(message, code="MODEL_BUSY", retry_after=_retry_after(error)), error)
    # The next request reads the key again: it may have been rotated.
    _client.cache_clear()
    forget_secrets()
    message = "the language model's provider refuses this deployment: its operators must look into the logs"
    _fail(UnavailableError(message, code="MISCONFIGURED"), error)


def _fail(answer: StudioError, error: Exception | None = None) -> NoReturn:
    """Log what happened without the provider's own text, which may repeat the key or the user's words."""
    status, code = getattr(error, "status_code", None), getattr(error, "code", None)
    is_plain = isinstance(code, str) and re.fullmatch("[a-z_]{1,60}", code)
    logger.warning(
        "no suggestion",
        reason=answer.code,
        error=type(error).__name__,
        provider_status=status,
        provider_code=code if is_plain else None,
    )
    count("SuggestionFailed", reason=answer.code)
    raise answer from None


def _retry_after(error: APIStatusError) -> int:
    told = error.response.headers.get("retry-after", "")
    return min(max(int(told), 1), _MOST_RETRY_AFTER) if re.fullmatch(r"\d{1,9}", told) else 10
