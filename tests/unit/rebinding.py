"""A network of its own for test_rebinding.py: a DNS server that changes its answers, and servers that tell who came.

It takes new namespaces of users, mounts and networks (`unshare`), where it may bind the ports 53 and 443, give itself
any address, and replace /etc/resolv.conf: names are resolved by the C library as always.
"""

import fcntl
import http.client
import ipaddress
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from studio.errors import StudioError
from studio.fetch import check_url, fetch, post

# All of these are this machine here. The kernel takes the whole of an old class for one IPv4 address: 8.0.0.0/8, ….
ADDRESSES = ["8.8.8.8", "10.0.0.1", "169.254.169.254", "2606:4700::1111", "fd00:ec2::254"]

_UP, _SET_FLAGS, _SET_ADDRESS = 0x1, 0x8914, 0x8916  # of Linux's netdevice(7)
_TYPES = {4: 1, 6: 28}  # A, AAAA
_CNAME = 5


def make_network(scratch: Path) -> None:
    """Give the namespace its addresses, by ioctl since `ip` is not everywhere, and its way to resolve names."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as v6,
    ):
        fcntl.ioctl(v4, _SET_FLAGS, struct.pack("16sH22x", b"lo", _UP))
        for number, address in enumerate(map(ipaddress.ip_address, ADDRESSES)):
            if address.version == 4:
                alias = f"lo:{number}".encode()
                fcntl.ioctl(v4, _SET_ADDRESS, struct.pack("16sH2x4s16x", alias, socket.AF_INET, address.packed))
            else:
                request = struct.pack("16sIi", address.packed, 128, socket.if_nametoindex("lo"))
                fcntl.ioctl(v6, _SET_ADDRESS, request)
    for path, text in {
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:30\n",
        "/etc/nsswitch.conf": "hosts: dns\n",
    }.items():
        file = scratch / Path(path).name
        file.write_text(text)
        subprocess.run(["mount", "--bind", file, path], check=True)


class NameServer(threading.Thread):
    """Answers each question about a name by the next of the name's answers, and by the last from then on.

    An answer is a list of addresses, behind the names of a chain of CNAMEs where there is one; nothing of it may be
    kept (TTL 0).
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.names: dict[str, list[list[str]]] = {}
        self.asked = Counter[tuple[str, int]]()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))

    def run(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        name, question = ".".join(labels), query[12 : at + 5]
        kind = int.from_bytes(query[at + 1 : at + 3])
        if name not in self.names:
            return query[:2] + struct.pack("!HHHHH", 0x8583, 1, 0, 0, 0) + question  # there is no such name
        answers = self.names[name]
        answer = answers[min(self.asked[name, kind], len(answers) - 1)]
        self.asked[name, kind] += 1
        records = []
        for item in answer:
            try:
                address = ipaddress.ip_address(item)
            except ValueError:
                records.append(_record(name, _CNAME, _encode(item)))
                name = item
            else:
                if _TYPES[address.version] == kind:
                    records.append(_record(name, kind, address.packed))
        header = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0)
        return header + question + b"".join(records)


def _encode(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _record(name: str, kind: int, data: bytes) -> bytes:
    return _encode(name) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


class Target(ThreadingHTTPServer):
    """An https server at every address, which keeps at which of them it was connected to."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.connected: list[tuple[str, int]] = []
        self.is_new = threading.Condition()
        super().__init__(("::", 443), Page)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer's asks for the machine's name

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client = super().get_request()
        with self.is_new:
            self.connected.append((reached(connection), client[1]))
            self.is_new.notify_all()
        # The handshake is not for this thread, which would wait for whoever says nothing.
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), client

    def take_connected(self) -> list[str]:
        """Return the addresses that were connected to since the last time."""
        with socket.create_connection(("127.0.0.1", 443)) as last:  # behind all others
            port = last.getsockname()[1]
            with self.is_new:
                assert self.is_new.wait_for(lambda: any(client == port for _, client in self.connected), 10)
        found = [address for address, client in self.connected if client != port]
        self.connected.clear()
        return found

    def handle_error(self, *_: object) -> None:
        pass  # the last connection above says nothing


def reached(connection: socket.socket) -> str:
    """Return the address that a connection came to."""
    address = ipaddress.IPv6Address(connection.getsockname()[0])
    return str(address.ipv4_mapped or address)


class Page(BaseHTTPRequestHandler):
    """Tells the address that it was reached at; leads on where the path says so (/to/URL)."""

    def do_GET(self) -> None:
        body = reached(self.connection).encode()
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path.removeprefix("/to/"))
        else:
            self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def call(action: str, url: str, context: ssl.SSLContext) -> str:
    """Return what a call came to: a body, a status, or why it was refused."""
    try:
        match action:
            case "fetch":
                return fetch(url, 99, "image_url", context=context).decode()
            case "post":
                return str(post(url, b"", {}, "callback_url", context=context))
            case "check":
                check_url(url, "callback_url")
                return "checked"
    except StudioError as error:
        return error.message
    # As one would write it without care: the name is resolved again for the connection.
    check_url(url, "image_url")
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=context)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


def main() -> None:
    """Play the cases on standard input, and print what came of each."""
    certificate, scratch = map(Path, sys.argv[1:])
    make_network(scratch)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names, target = NameServer(), Target(context)
    names.start()
    threading.Thread(target=target.serve_forever, daemon=True).start()
    trust = ssl.create_default_context(cafile=str(certificate))
    outcomes = []
    for case in json.load(sys.stdin):
        names.names = case["names"]
        names.asked.clear()
        came_to = [call(action, url, trust) for action, url in (step.split(" ") for step in case["calls"])]
        asked = {name: number for (name, kind), number in names.asked.items() if kind == _TYPES[4]}
        outcomes.append({"came_to": came_to, "connected": target.take_connected(), "asked": asked})
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
