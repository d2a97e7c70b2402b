"""Fetching an issuer's keys over HTTP: one small GET with hard limits. Blocking, for a thread."""

import io
import re
import socket
import ssl
import time
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, urlsplit

from livecomments.key_sets import DOCUMENT_MAX_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FETCH_S = 2.0
"""How long a fetch may take, from its first packet to its last byte. Looking a name up has the limits of the system."""
_HEAD_MAX_BYTES = 16 * 1024
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


class FetchError(Exception):
    """The document could not be had; the text says why, in a few words."""


def check_key_url(url: str) -> None:
    """Raises ValueError for an address that keys may not come from: https, or http on this machine alone."""
    parts = urlsplit(url)
    if not _PRINTABLE.fullmatch(url) or not parts.hostname or "@" in parts.netloc or parts.fragment or parts.port == 0:
        raise ValueError(f"{url!r} must be https://host[:port]/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(f"{url!r} must be https; http is for this machine's own addresses alone")


def fetch(url: str, context: ssl.SSLContext) -> bytes:
    """The document at an address that ``check_key_url`` lets pass; at most DOCUMENT_MAX_BYTES. Raises FetchError.

    Nothing but a plain 200 counts: no redirect is followed, for it could lead anywhere.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + FETCH_S
    try:
        with _connect(parts, deadline) as connection:
            if parts.scheme == "http":
                return _exchange(connection, parts, deadline)
            connection.settimeout(_left_s(deadline))
            with context.wrap_socket(connection, server_hostname=parts.hostname) as secured:
                return _exchange(secured, parts, deadline)
    except TimeoutError:
        raise FetchError(f"took longer than {FETCH_S:g} s") from None
    except ssl.SSLError as error:
        raise FetchError(f"TLS: {error.reason or error}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _left_s(deadline: float) -> float:
    """Raises TimeoutError once it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(parts: SplitResult, deadline: float) -> socket.socket:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found[:-1]:
        connection = socket.socket(family, kind, protocol)
        try:
            # One address that swallows packets leaves the others some time.
            connection.settimeout(_left_s(deadline) / 2)
            connection.connect(address)
        except OSError:
            connection.close()
        else:
            return connection
    address = found[-1][4]
    return socket.create_connection((str(address[0]), port), _left_s(deadline))


def _exchange(connection: socket.socket, parts: SplitResult, deadline: float) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/jwk-set+json, application/json",
        "Accept-Encoding: identity",
        "User-Agent: livecomments",
        "Connection: close",
    ]
    connection.settimeout(_left_s(deadline))
    connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
    with HTTPResponse(cast("socket.socket", _Stream(connection, deadline))) as response:
        response.begin()
        if response.status != 200:
            raise FetchError(f"answered {response.status}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise FetchError("answered with a Content-Encoding that was not asked for")
        document = response.read(DOCUMENT_MAX_BYTES + 1)
    if len(document) > DOCUMENT_MAX_BYTES:
        raise FetchError(f"larger than {DOCUMENT_MAX_BYTES} bytes")
    return document


class _Stream(io.RawIOBase):
    """A connection as HTTPResponse reads it: up to a deadline, and no more than an answer may have."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._room = _HEAD_MAX_BYTES + 2 * DOCUMENT_MAX_BYTES
        """Chunks have heads, too."""

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        self._connection.settimeout(_left_s(self._deadline))
        count = self._connection.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise FetchError("the answer is too large")
        return count
