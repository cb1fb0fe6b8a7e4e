"""Lets containers reach what listens on loopback: a TCP forwarder on one more address."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer


@contextmanager
def forward(host: str, ports: list[int]) -> Iterator[None]:
    """Pass every connection to a port of `host` on to the same port of loopback.

    Parameters
    ----------
    host
        An address of this machine, such as the Docker bridge's.
    ports
        The ports.
    """
    with ExitStack() as cleanup:
        for port in ports:
            server = cleanup.enter_context(_Server((host, port), _Connection))
            threading.Thread(target=server.serve_forever, args=(0.05,), name="forwarder", daemon=True).start()
            cleanup.callback(server.shutdown)
        yield


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Connection(BaseRequestHandler):
    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.request.getsockname()[1])) as inner:
            back = threading.Thread(target=_pump, args=(inner, self.request), daemon=True)
            back.start()
            _pump(self.request, inner)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, and that it has ended, in whichever way."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
