"""Asking a language model, by a server that speaks OpenAI's API: every way in which it can go wrong."""

import base64
import io
import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import boto3
import pytest
import skimage.data
from PIL import Image
from werkzeug.wrappers import Request, Response

from local import openai_server
from local.openai_server import OpenAiServer, complete, respond
from local.stack import Stack
from studio.caller import Caller
from studio.errors import ForbiddenError, InvalidFieldError, StudioError, UnavailableError
from studio.observability import logger
from studio.settings import Settings, forget_secrets
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.suggest import language_model, service
from studio.tone_mapping.suggest.models import SuggestRequest, SuggestResponse
from tests.integration.conftest import aws_of

CALLER = Caller(user_id="usr_" + "0" * 24, key_id="key_1", scopes=frozenset({"grade"}))
JSON = "application/json"
KEY = "sk-planted-secret"
WORDS = "warmer, moody, lift the shadows"
AT_REST: dict[str, Any] = {
    "reason": "As asked.",
    "hsl": [],
    **dict.fromkeys({slider.name for slider in fields(Adjustments)} - {"temperature_kelvin", "tone_curve", "hsl"}, 0),
}


class Provider:
    """What the server does next, and what it was sent; the last thing to do is done ever after."""

    def __init__(self) -> None:
        self.received: list[Request] = []
        self.replies: list[Response | Callable[[], Response]] = []

    def answer(self, request: Request) -> Response:
        self.received.append(request)
        if not self.replies:
            return openai_server.suggest(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply if isinstance(reply, Response) else reply()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def configure(stack: Stack, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set the environment of suggest; what it caches is dropped before and after."""

    def forget() -> None:
        language_model._client.cache_clear()
        forget_secrets()
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]

    def apply(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        forget()

    with OpenAiServer(provider.answer) as server:
        for name, value in aws_of(stack).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Studio")
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "studio")
        monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
        secret = stack.client("secretsmanager").create_secret(Name=f"openai-{uuid.uuid4()}", SecretString=KEY + "\n")
        apply(OPENAI_SECRET_ARN=secret["ARN"], OPENAI_BASE_URL=server.url, OPENAI_MODEL="of-the-test")
        yield apply
    monkeypatch.undo()
    forget()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """All that is logged."""
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return written


def ask(deadline: float = math.inf, **fields: Any) -> SuggestResponse:
    return service.suggest(CALLER, SuggestRequest(prompt=WORDS, **fields), "request-1", deadline)


def refuse(kind: type[StudioError] = UnavailableError, **fields: Any) -> StudioError:
    with pytest.raises(kind) as caught:
        ask(**fields)
    return caught.value


def failure(status: int, code: str, **headers: str) -> Response:
    error = {"message": f"about {KEY} and {WORDS}", "type": "error", "code": code, "param": None}
    return Response(json.dumps({"error": error}), status, headers, content_type=JSON)


def test_words_become_sliders(configure: Any, provider: Provider) -> None:
    answer = ask()
    assert answer.adjustments == Adjustments(exposure=-0.3, contrast=20, saturation=-15, shadows=35, temperature=20)
    assert "warm, moody, shadow" in answer.reason
    assert (answer.clamped, answer.model, answer.request_id) == ([], "of-the-test", "request-1")


def test_nothing_is_sent_but_words_and_a_small_picture(configure: Any, provider: Provider) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).resize((1600, 1064)).save(buffer, "JPEG", exif=exif)
    ask(image=base64.b64encode(buffer.getvalue()).decode())
    ask()
    [pictured, plain] = provider.received
    assert pictured.headers["authorization"] == f"Bearer {KEY}"
    assert pictured.json.keys() == {"model", "instructions", "input", "text", "store", "max_output_tokens"}
    assert pictured.json["store"] is False, "it is not to be kept"
    [message] = pictured.json["input"]
    [words, image] = message["content"]
    assert words == {"type": "input_text", "text": WORDS}
    kind, _, data = image["image_url"].partition(",")
    assert (image["type"], kind) == ("input_image", "data:image/jpeg;base64")
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert (sent.format, sent.size) == ("JPEG", (384, 255))
        assert not sent.getexif()
    assert len(plain.json["input"][0]["content"]) == 1
    assert pictured.json["text"]["format"]["strict"] is True
    everything = json.dumps([pictured.json, dict(pictured.headers)])
    assert CALLER.user_id not in everything
    assert "where I live" not in everything


def test_what_is_beyond_a_range_is_clamped(configure: Any, provider: Provider) -> None:
    provider.replies = [complete(json.dumps(AT_REST | {"exposure": 9, "tint": -100}))]
    answer = ask()
    assert answer.adjustments == Adjustments(exposure=5, tint=-100)
    assert [item.model_dump() for item in answer.clamped] == [{"field": "exposure", "suggested": 9, "used": 5}]


def test_a_long_reason_is_cut(configure: Any, provider: Provider) -> None:
    provider.replies = [complete(json.dumps(AT_REST | {"reason": "x" * 10_000}))]
    assert ask().reason == "x" * 500


def test_a_refusal_is_told(configure: Any, provider: Provider) -> None:
    provider.replies = [respond([{"type": "refusal", "refusal": "I'm sorry, I can't help with that."}])]
    refusal = refuse(InvalidFieldError)
    assert refusal.code == "MODEL_REFUSED"
    assert "I can't help with that" in refusal.message
    assert refusal.details[0].field == "prompt"
    assert len(provider.received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        failure(400, "invalid_prompt"),
        respond([], status="incomplete", incomplete_details={"reason": "content_filter"}),
    ],
)
def test_a_filter_is_a_refusal(configure: Any, provider: Provider, reply: Response) -> None:
    provider.replies = [reply]
    assert refuse(InvalidFieldError).code == "MODEL_REFUSED"


UNUSABLE = {
    "no JSON": complete("warmer it is"),
    "cut short": complete('{"reason": "Wa', status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    "a slider missing": complete(json.dumps({"reason": "", "hsl": [], "exposure": 1})),
    "one too many": complete(json.dumps(AT_REST | {"sharpness": 3})),
    "not a number": complete(json.dumps(AT_REST).replace('"exposure": 0', '"exposure": NaN')),
    "no message": respond([], output=[]),
    "no response": Response(b'{"hello": "world"}', content_type=JSON),
    "a list": Response(b"[]", content_type=JSON),
    "null": Response(b"null", content_type=JSON),
    "broken": Response(b'{"output": [', content_type=JSON),
    "nothing": Response(b"", content_type=JSON),
    "a page": Response("<html>Sign in</html>", content_type="text/html"),
    "output of another kind": Response(b'{"output": [{"type": "message", "content": [1]}]}', content_type=JSON),
    "deep": Response(b"[" * 100_000, content_type=JSON),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_read_is_asked_for_once_more(configure: Any, provider: Provider, name: str) -> None:
    provider.replies = [UNUSABLE[name], complete(json.dumps(AT_REST))]
    assert ask().adjustments == Adjustments()
    provider.replies = [UNUSABLE[name]]
    error = refuse()
    assert (error.code, error.retry_after) == ("MODEL_UNUSABLE", 5)
    assert len(provider.received) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408, 409])
def test_what_fails_is_tried_once_more(configure: Any, provider: Provider, status: int) -> None:
    provider.replies = [failure(status, "server_error", **{"retry-after": "100"}), complete(json.dumps(AT_REST))]
    started = time.monotonic()
    assert ask().adjustments == Adjustments()
    assert time.monotonic() - started < 20, "it is not the server that says how long we wait"
    provider.replies = [failure(status, "server_error")]
    error = refuse()
    assert (error.code, error.retry_after) == ("MODEL_UNAVAILABLE", 5)
    assert len(provider.received) == 4


def test_nobody_there_is_unavailable(configure: Any) -> None:
    configure(OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert refuse().code == "MODEL_UNAVAILABLE"


@pytest.mark.parametrize(("told", "retry_after"), [("7", 7), ("0", 1), ("999999", 3600), ("soon", 10), ("", 10)])
def test_a_busy_provider_is_not_asked_again_and_its_time_is_passed_on(
    configure: Any, provider: Provider, told: str, retry_after: int
) -> None:
    provider.replies = [failure(429, "rate_limit_exceeded", **({"retry-after": told} if told else {}))]
    error = refuse()
    assert (int(error.status), error.code, error.retry_after) == (503, "MODEL_BUSY", retry_after)
    assert len(provider.received) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "invalid_api_key"),
        (403, "unsupported_country_region_territory"),
        (404, "model_not_found"),
        (400, "unsupported_parameter"),
        (429, "insufficient_quota"),
    ],
)
def test_what_only_operators_can_mend_is_told_to_them_without_the_key(
    configure: Any, provider: Provider, logs: io.StringIO, status: int, code: str
) -> None:
    provider.replies = [failure(status, code)]
    error = refuse()
    assert (int(error.status), error.code, error.retry_after) == (503, "MISCONFIGURED", None)
    assert len(provider.received) == 1
    logged = logs.getvalue()
    assert f'"provider_status":{status}' in logged
    assert f'"provider_code":"{code}"' in logged
    for secret in (KEY, WORDS):
        assert secret not in logged + error.message


def test_a_code_that_repeats_the_key_is_not_logged(configure: Any, provider: Provider, logs: io.StringIO) -> None:
    provider.replies = [failure(401, KEY)]
    refuse()
    assert '"provider_status":401' in logs.getvalue()
    assert KEY not in logs.getvalue()


def test_a_new_key_is_read_after_the_old_one_was_refused(configure: Any, provider: Provider, stack: Stack) -> None:
    secrets = boto3.client("secretsmanager")
    arn = secrets.create_secret(Name=f"rotated-{uuid.uuid4()}", SecretString="old")["ARN"]
    configure(OPENAI_SECRET_ARN=arn)
    provider.replies = [failure(401, "invalid_api_key"), complete(json.dumps(AT_REST))]
    refuse()
    secrets.put_secret_value(SecretId=arn, SecretString="new")
    ask()
    assert [request.headers["authorization"] for request in provider.received] == ["Bearer old", "Bearer new"]


@pytest.fixture
def slow(configure: Any, provider: Provider) -> Iterator[None]:
    """Let the provider answer when the test is over."""
    over = threading.Event()

    def wait() -> Response:
        over.wait(30)
        return complete(json.dumps(AT_REST))

    provider.replies = [wait]
    yield
    over.set()


@pytest.mark.usefixtures("slow")
def test_a_slow_provider_is_left_in_time(configure: Any) -> None:
    configure(SUGGEST_SECONDS="1")
    started = time.monotonic()
    error = refuse()
    taken = time.monotonic() - started
    assert (int(error.status), error.code, error.retry_after) == (503, "MODEL_TIMEOUT", 5)
    assert 1 <= taken < 10


@pytest.mark.usefixtures("slow")
def test_a_request_that_has_little_time_left_is_answered_within_it(configure: Any) -> None:
    configure(SUGGEST_SECONDS="25")
    started = time.monotonic()
    assert refuse(deadline=started + 1).code == "MODEL_TIMEOUT"
    assert time.monotonic() - started < 10


def test_a_provider_that_sends_blanks_while_it_thinks_is_left_in_time(configure: Any, provider: Provider) -> None:
    configure(SUGGEST_SECONDS="1")
    over = threading.Event()

    def drip() -> Iterator[bytes]:
        while not over.wait(0.1):
            yield b" "

    provider.replies = [lambda: Response(drip(), content_type=JSON)]
    started = time.monotonic()
    error = refuse()
    taken = time.monotonic() - started
    over.set()
    assert error.code == "MODEL_TIMEOUT"
    assert 1 <= taken < 10
    provider.replies = [complete(json.dumps(AT_REST))]
    assert ask().adjustments == Adjustments()


def test_without_a_secret_it_is_not_configured(configure: Any, provider: Provider) -> None:
    configure(OPENAI_SECRET_ARN="")
    error = refuse()
    assert (int(error.status), error.code, error.retry_after) == (503, "NOT_CONFIGURED", None)
    assert not provider.received


def test_it_takes_a_key_that_may_grade(configure: Any, provider: Provider) -> None:
    with pytest.raises(ForbiddenError):
        service.suggest(
            CALLER.model_copy(update={"scopes": frozenset({"export"})}), SuggestRequest(prompt="x"), "1", math.inf
        )
    assert not provider.received


def test_a_picture_that_cannot_be_read_is_told_before_anything_is_sent(configure: Any, provider: Provider) -> None:
    error = refuse(StudioError, image=base64.b64encode(b"no picture").decode())
    assert int(error.status) == 415
    assert error.details[0].field == "image"
    assert not provider.received
