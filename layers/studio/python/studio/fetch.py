"""Fetch from or post to a URL that a stranger named, without becoming their way into our network (SSRF)."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from studio.errors import InvalidFieldError, TooLargeError

MAX_REDIRECTS = 3
MAX_SECONDS = 10.0
HTTPS = ("https",)
_PORTS = {"https": 443, "http": 80}
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 64 * 1024
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291, section 2.4; what wraps IPv4 is outside

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: IPAddress) -> bool:
    """Whether an address is out in the internet: not loopback, private, link-local, multicast, or wrapping another.

    Parameters
    ----------
    address : ipaddress.IPv4Address or ipaddress.IPv6Address
    """
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or address.sixtofour or address.teredo
    ):
        return False
    return address.is_global and not address.is_multicast


def fetch(
    url: str,
    max_bytes: int,
    field: str,
    *,
    max_seconds: float = MAX_SECONDS,
    is_allowed: Callable[[IPAddress], bool] = is_public,
    context: ssl.SSLContext | None = None,
) -> bytes:
    """Fetch a URL; every redirect is checked like the first address.

    Parameters
    ----------
    url : str
        https only.
    max_bytes : int
    field : str
        Named in errors.
    max_seconds : float
        For all of it, redirects and the look-up of names included.
    is_allowed : callable
        Says which addresses may be connected to.
    context : ssl.SSLContext, optional
        The system's certificates where not given.

    Returns
    -------
    bytes

    Raises
    ------
    InvalidFieldError
        If the URL or a redirect of it is not https, leads to an address that is not allowed, or does not answer
        with 200 in time.
    TooLargeError
        If the answer has more bytes than allowed.
    """
    terms = _Terms(field, max_seconds, is_allowed, HTTPS, context)
    for _ in range(MAX_REDIRECTS + 1):
        with _request(terms, "GET", url, None, {"accept": "image/*"}) as answer:
            location = answer.getheader("location")
            if answer.status in _REDIRECTS and location:
                url = _join(url, location, field)
                continue
            if answer.status != 200:
                raise _refusal(f"{urlsplit(url).hostname} answered {answer.status}", field)
            return _read(answer, max_bytes, field)
    raise _refusal(f"more than {MAX_REDIRECTS} redirects", field)


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    field: str,
    *,
    max_seconds: float = MAX_SECONDS,
    is_allowed: Callable[[IPAddress], bool] = is_public,
    schemes: Collection[str] = HTTPS,
    context: ssl.SSLContext | None = None,
) -> int:
    """Post to a URL and return the status of the answer, whose body is not read; redirects are not followed.

    Parameters
    ----------
    url : str
    body : bytes
    headers : dict of str to str
    field : str
        Named in errors.
    max_seconds : float
        For all of it, the look-up of the name included.
    is_allowed : callable
        Says which addresses may be connected to.
    schemes : collection of str
        https, and http where that is allowed.
    context : ssl.SSLContext, optional
        The system's certificates where not given.

    Returns
    -------
    int

    Raises
    ------
    InvalidFieldError
        If the URL has another scheme, leads to an address that is not allowed, or does not answer in time.
    """
    terms = _Terms(field, max_seconds, is_allowed, schemes, context)
    with _request(terms, "POST", url, body, headers) as answer:
        return answer.status


def check_url(
    url: str,
    field: str,
    *,
    is_allowed: Callable[[IPAddress], bool] = is_public,
    schemes: Collection[str] = HTTPS,
) -> None:
    """Refuse a URL now that could not be posted to later.

    Parameters
    ----------
    url : str
    field : str
        Named in errors.
    is_allowed : callable
        Says which addresses may be connected to.
    schemes : collection of str
        https, and http where that is allowed.

    Raises
    ------
    InvalidFieldError
        If the URL has another scheme, leads to an address that is not allowed, or its name is not resolved in time.
    """
    _resolve(_split(url, field, schemes), _Terms(field, MAX_SECONDS, is_allowed, schemes, None))


class _Terms:
    """What a request is held to, its redirects included."""

    def __init__(
        self,
        field: str,
        max_seconds: float,
        is_allowed: Callable[[IPAddress], bool],
        schemes: Collection[str],
        context: ssl.SSLContext | None,
    ) -> None:
        self.field, self.is_allowed, self.schemes, self.context = field, is_allowed, schemes, context
        self.max_seconds, self.deadline = max_seconds, time.monotonic() + max_seconds


@contextmanager
def _request(
    terms: _Terms, method: str, url: str, body: bytes | None, headers: dict[str, str]
) -> Iterator[http.client.HTTPResponse]:
    """Send one request to the addresses that were checked, and yield the answer; all of it ends at the deadline."""
    parts = _split(url, terms.field, terms.schemes)
    addresses = _resolve(parts, terms)
    tls = (terms.context or ssl.create_default_context()) if parts.scheme == "https" else None
    connection = _PinnedConnection(parts, addresses, terms.deadline, tls)
    try:
        with connection.cut_at_deadline():
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, headers)
            yield connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        is_late = time.monotonic() > terms.deadline
        why = f"took longer than {terms.max_seconds:g} s" if is_late else type(error).__name__
        raise _refusal(f"{parts.hostname} cannot be reached: {why}", terms.field) from error
    finally:
        connection.close()


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to the addresses that were checked, not to what the name resolves to a moment later."""

    def __init__(
        self, parts: SplitResult, addresses: list[str], deadline: float, context: ssl.SSLContext | None
    ) -> None:
        self.default_port = _PORTS[parts.scheme]
        super().__init__(parts.hostname or "", parts.port or self.default_port)
        self._addresses = addresses
        self._deadline = deadline
        self._tls = context
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        # Kept beside self.sock, which http.client lets go while an answer without a length is being read.
        self.sock = self._socket = self._connect_to_any()
        if self._tls:
            self.sock = self._socket = self._tls.wrap_socket(self._socket, server_hostname=self.host)
        self.sock.settimeout(max(0.1, self._deadline - time.monotonic()))

    @contextmanager
    def cut_at_deadline(self) -> Iterator[None]:
        """Cut the connection at the deadline: a socket's own timeout restarts with every byte of a dripping server.

        Raises
        ------
        TimeoutError
            At the end, if the deadline has passed: what was read may have been cut.
        """
        watchdog = threading.Timer(self._deadline - time.monotonic(), self._cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()
        if time.monotonic() > self._deadline:
            raise TimeoutError

    def _cut(self) -> None:
        with suppress(OSError):
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)

    def _connect_to_any(self) -> socket.socket:
        """Try the addresses in turn: a name may have an IPv6 address that nothing answers on."""
        failure = OSError("no address")
        for address in self._addresses:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            try:
                return socket.create_connection((address, self.port), timeout=min(remaining, 3.0))
            except OSError as error:
                failure = error
        raise failure


def _join(url: str, location: str, field: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise _refusal(f"{urlsplit(url).hostname} redirects to what is not a URL: {error}", field) from error


def _split(url: str, field: str, schemes: Collection[str]) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _refusal(f"not a URL: {error}", field) from error
    # Blanks are a header's or a request line's; urlsplit drops some of them.
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None or not is_plain:
        raise _refusal(f"it must be an {' or '.join(schemes)} URL without user name, in ASCII", field)
    return parts


def _resolve(parts: SplitResult, terms: _Terms) -> list[str]:
    try:
        found = _look_up(parts.hostname or "", parts.port or _PORTS[parts.scheme], terms.deadline)
    except TimeoutError as error:
        why = f"{parts.hostname} cannot be resolved: took longer than {terms.max_seconds:g} s"
        raise _refusal(why, terms.field) from error
    except (OSError, UnicodeError) as error:
        raise _refusal(f"{parts.hostname} cannot be resolved", terms.field) from error
    addresses = [str(item[4][0]).split("%")[0] for item in found]
    if not all(terms.is_allowed(ipaddress.ip_address(address)) for address in addresses):
        raise _refusal(f"{parts.hostname} is not a public address", terms.field)
    return addresses


def _look_up(host: str, port: int, deadline: float) -> list[Any]:
    """Resolve a name in a thread, for nothing ends the C library's own look-up; one that is late is left behind."""
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # raised where the addresses are waited for
            found.set_exception(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    return found.result(max(0.0, deadline - time.monotonic()))


def _read(answer: http.client.HTTPResponse, max_bytes: int, field: str) -> bytes:
    data = bytearray()
    while chunk := answer.read1(_CHUNK):
        data += chunk
        if len(data) > max_bytes:
            raise TooLargeError(
                f"an image by URL may have {max_bytes:,} bytes; this one has more", code="IMAGE_TOO_LARGE", field=field
            )
    return bytes(data)


def _refusal(why: str, field: str) -> InvalidFieldError:
    return InvalidFieldError(f"the URL cannot be used: {why}", code="URL_REFUSED", field=field)
