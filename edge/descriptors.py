"""A viewer's descriptor, handled as the connected TCP socket that it is."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def peer_address(fd: int) -> str:
    """Where the connection comes from; empty when it is gone already."""
    with suppress(OSError):
        borrowed = socket.socket(fileno=fd)
        try:
            return str(borrowed.getpeername()[0])
        finally:
            borrowed.detach()
    return ""


def finish(fd: int) -> None:
    """Says that nothing more will be written: an orderly FIN, behind all that was."""
    with suppress(OSError), _borrowed(fd) as borrowed:
        borrowed.shutdown(socket.SHUT_WR)


def close(fd: int) -> None:
    """Ends the connection; what was written is still delivered, unless the peer has sent what nobody has read."""
    finish(fd)
    try:
        os.close(fd)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """The descriptor as a socket object that does not close it, for what is the same in every family."""
    # Told its family, so that the kernel is not asked three times.
    borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    try:
        yield borrowed
    finally:
        borrowed.detach()
