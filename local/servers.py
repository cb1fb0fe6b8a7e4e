"""WSGI applications that answer on loopback, in threads of this process."""

import json
import logging
import threading
import uuid
from typing import TYPE_CHECKING, Self

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def refusal(status: int, kind: str, message: str) -> Response:
    """Return the answer of an AWS service that speaks JSON to what it refuses."""
    return Response(
        json.dumps({"Type": "User", "message": message}),
        status,
        {"x-amzn-ErrorType": kind, "x-amzn-RequestId": str(uuid.uuid4())},
        content_type="application/json",
    )


class LoopbackServer:
    """A WSGI application on a loopback port, as a context manager.

    Parameters
    ----------
    application
        What answers.
    port
        0 takes a free one.
    handler
        Makes requests of what comes in; werkzeug's own where it is None.

    Attributes
    ----------
    endpoint_url
        Where it answers.
    """

    def __init__(
        self, application: "WSGIApplication", port: int = 0, handler: type[WSGIRequestHandler] | None = None
    ) -> None:
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else it tells every request
        self._server = make_server("127.0.0.1", port, application, threaded=True, request_handler=handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
