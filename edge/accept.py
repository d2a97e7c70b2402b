"""Taking connections from a listening socket."""

import errno
import os
import socket
from collections.abc import AsyncGenerator

import trio

from edge import metrics
from livecomments.listening import BACKLOG
from livecomments.telemetry import log

ACCEPTS_PER_TURN = 16
"""Connections taken before other tasks have their turn: a storm of joins must not starve the broadcast.

In its own turn the broadcast writes to 256 viewers, about 2 ms. Behind 64 joins it waited for 10 ms each time, and a
round to 10,000 viewers took half a second.
"""
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S = 0.1
_DEFER_S = 3
_HALF_OPEN_MS = 30_000
"""A peer that acknowledges nothing for so long is gone."""
_UNSENT_BYTES = 128 * 1024
"""What the kernel takes for a connection beyond what is on its way: by itself it takes 2.5 MB for one that has stopped
reading. What it does not take waits here, where it is bounded.
"""


def prepare(listener: socket.socket) -> None:
    """Makes its connections ready for small writes now and then, over a long time.

    It tells of a connection when its request is there, so that the door rarely finds nothing to read; one that sends
    nothing is told of after some seconds. The rest is inherited (tcp(7)): set on each, it took 8 µs a join.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_S)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _HALF_OPEN_MS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


async def accepted(listener: socket.socket) -> AsyncGenerator[socket.socket]:
    """Connections, non-blocking, as they come; for ever. A listener that is non-blocking itself is needed."""
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection = _accept(listener)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _NO_DESCRIPTORS:
                    # They wait in the kernel's queue until some viewer has gone.
                    await trio.sleep(_PAUSE_S)
                break
            yield connection
        await trio.lowlevel.checkpoint()


async def waiting(listener: socket.socket) -> AsyncGenerator[socket.socket]:
    """Those that wait in the kernel's queue now: to close a listener on them resets them.

    Ends when the queue is empty or there are no descriptors left; at the latest after as many as it holds, as others
    come meanwhile.
    """
    for number in range(BACKLOG):
        if number % ACCEPTS_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
        try:
            connection = _accept(listener)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                return
            continue  # it has gone meanwhile
        yield connection


def _accept(listener: socket.socket) -> socket.socket:
    try:
        # Not accept(): it finds out anew for each connection what kind of socket this is, half of its time.
        fd, _ = listener._accept()  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in _NO_DESCRIPTORS:
            metrics.accept_failures.labels(errno.errorcode[error.errno]).inc()
            log().warning("can't accept", error=error.strerror)
        raise
    os.set_blocking(fd, False)
    return socket.socket(listener.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0, fd)
