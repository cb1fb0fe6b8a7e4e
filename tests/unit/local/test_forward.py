import socket
import sys
from collections.abc import Iterator

import pytest

from local.forward import forward

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback is 127.0.0.1 alone")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def test_bytes_pass_both_ways_until_either_side_ends(listener: socket.socket) -> None:
    port: int = listener.getsockname()[1]
    with forward("127.0.0.2", [port]), socket.create_connection(("127.0.0.2", port), timeout=10) as client:
        served, _ = listener.accept()
        with served:
            client.sendall(b"question")
            assert served.recv(100) == b"question"
            served.sendall(b"answer")
            assert client.recv(100) == b"answer"
        assert client.recv(100) == b""


def test_a_port_that_nobody_listens_on_ends_the_connection(listener: socket.socket) -> None:
    port: int = listener.getsockname()[1]
    listener.close()
    with forward("127.0.0.2", [port]), socket.create_connection(("127.0.0.2", port), timeout=10) as client:
        assert client.recv(100) == b""


def test_nothing_listens_afterwards(listener: socket.socket) -> None:
    port: int = listener.getsockname()[1]
    with forward("127.0.0.2", [port]):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=10)
