import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from studio import fetch as fetch_module
from studio.errors import InvalidFieldError, TooLargeError
from studio.fetch import check_url, fetch, is_public, post
from tests.certificates import write_certificate


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        received = self.rfile.read(int(self.headers["content-length"]))
        match self.path.split("/")[1:]:
            case ["expect", text]:
                is_right = received == text.encode() and self.headers["x-test"] == "yes"
                self.send_response(204 if is_right else 400)
                self.end_headers()
            case ["endless"]:
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    while True:
                        self.wfile.write(b"x" * 65_536)
            case _:
                self.do_GET()

    def do_GET(self) -> None:
        match self.path.split("/")[1:]:
            case ["bytes", count]:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"x" * int(count))
            case ["echo?q=1"]:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"query")
            case ["redirect", *target]:
                self.send_response(302)
                self.send_header("location", "/".join(target))
                self.end_headers()
            case ["loop"]:
                self.send_response(302)
                self.send_header("location", "/loop")
                self.end_headers()
            case ["drip", where]:
                if where == "body":
                    self.send_response(200)
                    self.end_headers()
                else:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                with suppress(OSError):  # the client hangs up
                    for _ in range(600):
                        self.wfile.write(b"x")
                        time.sleep(0.05)
            case ["slow", seconds]:
                time.sleep(float(seconds))
                self.send_response(200)
                self.end_headers()
            case _:
                self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    write_certificate(path, "localhost")
    return path


@pytest.fixture(scope="module")
def base_url(certificate: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.jpg",
        "ftp://example.com/a.jpg",
        "file:///etc/passwd",
        "https://",
        "https://user@example.com/",
        "https://[::1",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://ex\u00e4mple.com/",
    ],
)
def test_what_is_not_plain_https_is_refused(url: str) -> None:
    with pytest.raises(InvalidFieldError, match="cannot be used"):
        fetch(url, 10, "image_url")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0",
     "2130706433", "0x7f.1", "[fe80::1]", "[fd00::1]", "100.64.0.1", "224.0.0.1", "0177.0.0.1", "0x7f000001", "127.1",
     "017700000001", "0xa9fea9fe", "2852039166", "169.254.170.2", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]",
     "[::ffff:10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]", "[2002:a9fe:a9fe::1]", "[2001:0:1::1]",
     "[fec0::1]", "[::127.0.0.1]", "[2001:db8::1]", "[ff02::1]", "192.0.0.1", "198.18.0.1", "240.0.0.1",
     "255.255.255.255", "172.31.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused(host: str) -> None:
    with pytest.raises(InvalidFieldError) as refusal:
        fetch(f"https://{host}/", 10, "image_url")
    assert refusal.value.code == "URL_REFUSED"
    assert "not a public address" in refusal.value.message


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "::"])
def test_wrapped_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


def test_an_allowed_url_is_read(base_url: str, trust: ssl.SSLContext) -> None:
    assert fetch(f"{base_url}/bytes/9", 9, "image_url", is_allowed=is_loopback, context=trust) == b"x" * 9
    assert fetch(f"{base_url}/echo?q=1#part", 9, "image_url", is_allowed=is_loopback, context=trust) == b"query"


def test_more_bytes_than_allowed_are_refused(base_url: str, trust: ssl.SSLContext) -> None:
    with pytest.raises(TooLargeError, match="9 bytes"):
        fetch(f"{base_url}/bytes/10", 9, "image_url", is_allowed=is_loopback, context=trust)


def test_redirects_are_followed_and_checked(base_url: str, trust: ssl.SSLContext) -> None:
    assert fetch(f"{base_url}/redirect//bytes/3", 9, "image_url", is_allowed=is_loopback, context=trust) == b"xxx"
    for target in ("http://localhost/", "https://10.0.0.1/", "https://[", "//[x]/"):
        with pytest.raises(InvalidFieldError):
            fetch(f"{base_url}/redirect/{target}", 9, "image_url", is_allowed=is_loopback, context=trust)
    with pytest.raises(InvalidFieldError, match="redirects"):
        fetch(f"{base_url}/loop", 9, "image_url", is_allowed=is_loopback, context=trust)


def test_other_answers_are_refused(base_url: str, trust: ssl.SSLContext) -> None:
    with pytest.raises(InvalidFieldError, match="answered 404"):
        fetch(f"{base_url}/missing", 9, "image_url", is_allowed=is_loopback, context=trust)


def send(base_url: str, path: str, trust: ssl.SSLContext, max_seconds: float = 10) -> int:
    return post(
        f"{base_url}{path}",
        b"hello",
        {"x-test": "yes"},
        "callback_url",
        max_seconds=max_seconds,
        is_allowed=is_loopback,
        context=trust,
    )


def test_a_post_is_answered_by_a_status(base_url: str, trust: ssl.SSLContext) -> None:
    assert send(base_url, "/expect/hello", trust) == 204
    assert send(base_url, "/missing", trust) == 404


def test_the_body_that_answers_a_post_is_not_waited_for(base_url: str, trust: ssl.SSLContext) -> None:
    started = time.monotonic()
    assert send(base_url, "/endless", trust, max_seconds=30) == 200
    assert time.monotonic() - started < 20


def test_a_post_follows_no_redirect(base_url: str, trust: ssl.SSLContext) -> None:
    assert send(base_url, "/redirect//expect/hello", trust) == 302


def test_a_post_that_takes_too_long_is_cut(base_url: str, trust: ssl.SSLContext) -> None:
    for path in ("/drip/headers", "/slow/20"):
        started = time.monotonic()
        with pytest.raises(InvalidFieldError, match=r"longer than 0\.5 s"):
            send(base_url, path, trust, max_seconds=0.5)
        assert time.monotonic() - started < 15


def test_a_server_may_think_until_the_deadline(base_url: str, trust: ssl.SSLContext) -> None:
    assert send(base_url, "/slow/3.5", trust) == 200


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "https://localhost/", "http://8.8.8.8/", "https://8.8.8.8/\t"])
def test_what_could_not_be_posted_to_is_refused_before(url: str) -> None:
    for refuse in (lambda: check_url(url, "callback_url"), lambda: post(url, b"", {}, "callback_url")):
        with pytest.raises(InvalidFieldError) as refusal:
            refuse()
        assert (refusal.value.code, refusal.value.details[0].field) == ("URL_REFUSED", "callback_url")
    check_url("https://8.8.8.8/", "callback_url")
    check_url("http://10.0.0.1/", "callback_url", is_allowed=lambda _: True, schemes=("https", "http"))


@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_dripping_server_is_cut_at_the_deadline(base_url: str, trust: ssl.SSLContext, where: str) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidFieldError, match=r"longer than 0\.5 s"):
        fetch(f"{base_url}/drip/{where}", 999, "image_url", max_seconds=0.5, is_allowed=is_loopback, context=trust)
    assert time.monotonic() - started < 15


def test_an_untrusted_certificate_is_refused(base_url: str) -> None:
    with pytest.raises(InvalidFieldError, match="SSLCertVerificationError"):
        fetch(f"{base_url}/bytes/1", 9, "image_url", is_allowed=is_loopback)


def resolve_by(monkeypatch: pytest.MonkeyPatch, resolver: Callable[..., Any]) -> None:
    """Have names resolved by a test, but for those that other threads of the process look up meanwhile."""
    look_up, of_tests = socket.getaddrinfo, re.compile(r"localhost|.+\.example|8\.8\.8\.\d+")

    def choose(host: str, *arguments: Any, **more: Any) -> Any:
        return (resolver if of_tests.fullmatch(str(host)) else look_up)(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", choose)


class Rebinding:
    """A resolver that tells another address of a name each time it is asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host in self.answers:  # an address, on its way to be connected to
            address = host
        else:
            self.asked += 1
            address = self.answers[min(self.asked, len(self.answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = []

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    resolver = Rebinding("8.8.8.8", "127.0.0.1")
    resolve_by(monkeypatch, resolver)
    monkeypatch.setattr(socket, "create_connection", connect)
    for send_it in (
        lambda: fetch("https://rebinding.example/", 9, "image_url"),
        lambda: post("https://rebinding.example/", b"", {}, "callback_url"),
    ):
        resolver.asked = 0
        with pytest.raises(InvalidFieldError, match="cannot be reached"):
            send_it()
        assert resolver.asked == 1
    assert connected == [("8.8.8.8", 443)] * 2


def test_a_callback_whose_name_came_to_be_private_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_by(monkeypatch, Rebinding("8.8.8.8", "169.254.169.254"))
    check_url("https://rebinding.example/", "callback_url")  # when the job is started
    with pytest.raises(InvalidFieldError, match="not a public address"):
        post("https://rebinding.example/", b"", {}, "callback_url")


def test_a_redirect_to_a_name_that_rebinds_is_refused(
    base_url: str, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_by(monkeypatch, Rebinding("127.0.0.1", "10.0.0.1"))
    with pytest.raises(InvalidFieldError, match="not a public address"):
        fetch(f"{base_url}/redirect//bytes/3", 9, "image_url", is_allowed=is_loopback, context=trust)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [Rebinding(address)("x", 443)[0] for address in ("8.8.8.8", "10.0.0.1")]
    resolve_by(monkeypatch, lambda *_, **__: both)
    with pytest.raises(InvalidFieldError, match="not a public address"):
        fetch("https://two.example/", 9, "image_url")


def test_many_addresses_that_do_not_answer_end_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def hang(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(address)
        time.sleep(timeout)
        raise TimeoutError

    silent = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"8.8.8.{number}", 443)) for number in range(30)]
    resolve_by(monkeypatch, lambda *_, **__: silent)
    monkeypatch.setattr(socket, "create_connection", hang)
    started = time.monotonic()
    with pytest.raises(InvalidFieldError, match=r"took longer than 2 s"):
        fetch("https://many.example/", 9, "image_url", max_seconds=2)
    assert len(tried) == 1
    assert time.monotonic() - started < 15


def test_a_name_that_is_not_resolved_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def hang(*_: object, **__: object) -> list[tuple[object, ...]]:
        answer.wait(60)
        return Rebinding("8.8.8.8")("slow.example", 443)

    resolve_by(monkeypatch, hang)
    monkeypatch.setattr(fetch_module, "MAX_SECONDS", 0.2)
    url, started = "https://slow.example/", time.monotonic()
    for ask in (
        lambda: fetch(url, 9, "image_url", max_seconds=0.2),
        lambda: post(url, b"", {}, "image_url", max_seconds=0.2),
        lambda: check_url(url, "image_url"),
    ):
        with pytest.raises(InvalidFieldError, match=r"cannot be resolved: took longer than 0\.2 s") as refusal:
            ask()
        assert (refusal.value.code, refusal.value.details[0].field) == ("URL_REFUSED", "image_url")
    answer.set()
    assert time.monotonic() - started < 15


def test_the_look_up_of_a_redirect_has_the_time_that_is_left(
    base_url: str, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def dawdle(host: str, *arguments: Any, **more: Any) -> Any:
        time.sleep(2 if host == "localhost" else 0)
        return look_up(host, *arguments, **more)

    resolve_by(monkeypatch, dawdle)
    started = time.monotonic()
    with pytest.raises(InvalidFieldError, match=r"longer than 2\.2 s"):
        fetch(f"{base_url}/loop", 9, "image_url", max_seconds=2.2, is_allowed=is_loopback, context=trust)
    assert time.monotonic() - started < 3.7
