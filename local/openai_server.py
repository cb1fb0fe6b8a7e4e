"""A stand-in for OpenAI's Responses API, so that suggestions need no account and no network."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from studio.tone_mapping.adjustments import Adjustments

# What the stand-in understands.
_WORDS: dict[str, dict[str, float]] = {
    "warm": {"temperature": 20},
    "cool": {"temperature": -20},
    "bright": {"exposure": 0.5},
    "dark": {"exposure": -0.5},
    "moody": {"exposure": -0.3, "contrast": 20, "saturation": -15},
    "shadow": {"shadows": 35},
    "vivid": {"vibrance": 30},
    "muted": {"saturation": -25},
    "contrast": {"contrast": 25},
}


@dataclass(frozen=True)
class Received:
    """A request: its headers, in lower case, and its body."""

    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What is answered; a body in parts is sent part by part."""

    status: int
    body: bytes | Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


def complete(text: str, **more: Any) -> Reply:
    """Return the answer that has a text, as the API words it.

    Parameters
    ----------
    text : str
        JSON, for a structured answer.
    **more : Any
        Fields of the response, in the place of those of success.
    """
    part = {"type": "output_text", "text": text, "annotations": []}
    return respond([part], **more)


def respond(content: list[dict[str, Any]], **more: Any) -> Reply:
    """Return the answer whose message has some content, as the API words it."""
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1795491904,
        "status": "completed",
        "model": "stand-in",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    return Reply(200, json.dumps(response | more).encode())


def suggest(request: Received) -> Reply:
    """Set sliders by the few words that it knows."""
    words = next(part["text"] for part in request.body["input"][0]["content"] if part["type"] == "input_text").lower()
    known = [word for word in _WORDS if word in words]
    asked = request.body["text"]["format"]["schema"]["properties"]
    sliders = {slider.name: 0.0 for slider in fields(Adjustments) if slider.name in asked and slider.name != "hsl"}
    for word in known:
        for slider, value in _WORDS[word].items():
            sliders[slider] += value
    reason = f"The stand-in of the embedded stack knows {', '.join(_WORDS)}; it found {', '.join(known) or 'none'}."
    return complete(json.dumps({"reason": reason, "hsl": [], **sliders}))


class OpenAiServer:
    """The API on a loopback port, as a context manager.

    Parameters
    ----------
    answer
        Says what a request is answered.

    Attributes
    ----------
    url
        The base URL for an SDK.
    """

    def __init__(self, answer: Callable[[Received], Reply] = suggest) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                is_known = self.path == "/v1/responses"
                reply = answer(Received(headers, body)) if is_known else Reply(404, b'{"error": {"message": "?"}}')
                with suppress(OSError):  # whoever asked may be gone
                    self._send(reply)

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                headers = {"content-type": "application/json"} | dict(reply.headers)
                if isinstance(reply.body, bytes):
                    headers["content-length"] = str(len(reply.body))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in [reply.body] if isinstance(reply.body, bytes) else reply.body:
                    self.wfile.write(part)
                    self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="openai", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
