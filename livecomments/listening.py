"""Listening sockets, non-blocking, at the addresses that settings name.

All raise SettingsError, which names the setting, for a bad address or one that can't be had. Port 0 takes a free one.
"""

import socket
from contextlib import ExitStack

from livecomments.settings import SettingsError, split_address

BACKLOG = 4096
"""Connections that may wait in the kernel to be accepted; net.core.somaxconn may lower it."""


def listen(name: str, address: str) -> socket.socket:
    """One socket at ``host:port``, the value of the setting ``name``."""
    return listen_in_a_row(name, address, 1)[0]


def listen_in_a_row(name: str, address: str, count: int) -> list[socket.socket]:
    """At ``count`` ports, one after the other, of which the address has the first."""
    host, port = split_address(name, address)
    with ExitStack() as opening:
        sockets = [opening.enter_context(_socket(host)) for _ in range(count)]
        try:
            for number, raw in enumerate(sockets):
                raw.bind((host, port and port + number))
                raw.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            raise _refusal(name, address, error) from error
        opening.pop_all()
        return sockets


def listen_together(name: str, address: str, count: int) -> list[socket.socket]:
    """``count`` sockets at one port, over which the kernel spreads new connections.

    A connection waits in one of them from its beginning, and is reset when that one is closed: in a trial, closing one
    of two reset 109 of 200 that waited.
    """
    host, port = split_address(name, address)
    with ExitStack() as opening:
        sockets = [opening.enter_context(_socket(host)) for _ in range(count)]
        first, *others = sockets
        try:
            # Without the option, so that a port is refused which another program shares already.
            first.bind((host, port))
            for raw in sockets if others else ():
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for raw in others:
                raw.bind(first.getsockname())
            for raw in sockets:
                raw.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            raise _refusal(name, address, error) from error
        opening.pop_all()
        return sockets


def address_of(listener: socket.socket) -> str:
    """``host:port``, as settings have it."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _socket(host: str) -> socket.socket:
    raw = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    raw.setblocking(False)
    return raw


def _refusal(name: str, address: str, error: Exception) -> SettingsError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return SettingsError(f"setting LIVECOMMENTS_{name}: {address}: {why}")
