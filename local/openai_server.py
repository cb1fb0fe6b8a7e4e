"""A stand-in for OpenAI's Responses API, so that suggestions need no account and no network."""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from werkzeug.wrappers import Request, Response

from local.servers import LoopbackServer
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


def complete(text: str, **more: Any) -> Response:
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


def respond(content: list[dict[str, Any]], **more: Any) -> Response:
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
    return Response(json.dumps(response | more), content_type="application/json")


def suggest(request: Request) -> Response:
    """Set sliders by the few words that it knows."""
    words = next(part["text"] for part in request.json["input"][0]["content"] if part["type"] == "input_text").lower()
    known = [word for word in _WORDS if word in words]
    asked = request.json["text"]["format"]["schema"]["properties"]
    sliders = {slider.name: 0.0 for slider in fields(Adjustments) if slider.name in asked and slider.name != "hsl"}
    for word in known:
        for slider, value in _WORDS[word].items():
            sliders[slider] += value
    reason = f"The stand-in of the embedded stack knows {', '.join(_WORDS)}; it found {', '.join(known) or 'none'}."
    return complete(json.dumps({"reason": reason, "hsl": [], **sliders}))


class OpenAiServer(LoopbackServer):
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

    def __init__(self, answer: Callable[[Request], Response] = suggest) -> None:
        @Request.application
        def application(request: Request) -> Response:
            request.get_data()  # kept with it, for whoever looks later
            return answer(request) if request.path == "/v1/responses" else Response(status=404)

        super().__init__(application)
        self.url = f"{self.endpoint_url}/v1"
