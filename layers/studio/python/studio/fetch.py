"""Fetch an https URL that a stranger named, without becoming their way into our network (SSRF)."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from studio.errors import InvalidFieldError, TooLargeError

MAX_REDIRECTS = 3
MAX_SECONDS = 10.0
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
        For all of it, redirects included.
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
    deadline = time.monotonic() + max_seconds
    context = context or ssl.create_default_context()
    for _ in range(MAX_REDIRECTS + 1):
        parts = _split(url, field)
        connection = _PinnedConnection(parts, _resolve(parts, field, is_allowed), deadline, context)
        try:
            with connection.cut_at_deadline():
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("GET", target, headers={"accept": "image/*"})
                answer = connection.getresponse()
                location = answer.getheader("location")
                if answer.status in _REDIRECTS and location:
                    url = urljoin(url, location)
                    continue
                if answer.status != 200:
                    raise _refusal(f"{parts.hostname} answered {answer.status}", field)
                data = _read(answer, max_bytes, field)
        except (OSError, http.client.HTTPException) as error:
            why = f"took longer than {max_seconds:g} s" if time.monotonic() > deadline else type(error).__name__
            raise _refusal(f"{parts.hostname} cannot be read: {why}", field) from error
        finally:
            connection.close()
        return data
    raise _refusal(f"more than {MAX_REDIRECTS} redirects", field)


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to the addresses that were checked, not to what the name resolves to a moment later."""

    def __init__(self, parts: SplitResult, addresses: list[str], deadline: float, context: ssl.SSLContext) -> None:
        super().__init__(parts.hostname or "", parts.port or 443)
        self._addresses = addresses
        self._deadline = deadline
        self._tls = context
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        # Kept beside self.sock, which http.client lets go while an answer without a length is being read.
        self._socket = self._connect_to_any()
        self.sock = self._socket = self._tls.wrap_socket(self._socket, server_hostname=self.host)

    @contextmanager
    def cut_at_deadline(self) -> Iterator[None]:
        """Cut the connection at the deadline: a socket's own timeout begins anew with every byte of a dripping server.

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
            remaining = max(0.1, self._deadline - time.monotonic())
            try:
                return socket.create_connection((address, self.port), timeout=min(remaining, 3.0))
            except OSError as error:
                failure = error
        raise failure


def _split(url: str, field: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _refusal(f"not a URL: {error}", field) from error
    if parts.scheme != "https" or not parts.hostname or parts.username or not url.isascii() or " " in url:
        raise _refusal("it must be an https URL without user name, in ASCII", field)
    return parts


def _resolve(parts: SplitResult, field: str, is_allowed: Callable[[IPAddress], bool]) -> list[str]:
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refusal(f"{parts.hostname} cannot be resolved", field) from error
    addresses = [str(item[4][0]).split("%")[0] for item in found]
    if not all(is_allowed(ipaddress.ip_address(address)) for address in addresses):
        raise _refusal(f"{parts.hostname} is not a public address", field)
    return addresses


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
