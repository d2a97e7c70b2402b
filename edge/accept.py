"""Taking connections from a listening socket."""

import errno
import os
import socket
from collections.abc import AsyncGenerator, Callable

import trio

from edge import metrics
from livecomments.listening import BACKLOG
from livecomments.telemetry import log

ACCEPTS_PER_TURN = 32
"""Connections taken before other tasks have their turn: a storm of joins must not starve the broadcast.

In its own turn the broadcast writes to 256 viewers, about 2 ms; so many joins take no longer. Behind 10 ms of them a
round to 10,000 viewers took half a second. With fewer each takes longer, see ``Broadcast.seat``.
"""
GATHER_S = 0.002
"""Who comes after a quiet moment is let in at once; those who follow gather for so long, and are let in together.

One by one each wakes the loop and pays for what the others have pushed out of the processor's caches: at 4,000 joins a
second 120 µs of CPU each instead of 73, at 1,000 a second 220 instead of 140.
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


async def accept(listener: socket.socket) -> socket.socket:
    """The next connection, non-blocking, from a listener that is non-blocking itself.

    Others have their turn in between. When this is cancelled, no connection is lost.
    """
    while True:
        await trio.lowlevel.wait_readable(listener)
        try:
            return as_socket(listener, _accept(listener))
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                await trio.sleep(_PAUSE_S)


async def accept_into(take: Callable[[list[int]], None], listener: socket.socket) -> None:
    """Gives ``take`` the connections that have come, as descriptors of their own, non-blocking; for ever.

    At most ACCEPTS_PER_TURN at once; those who follow each other closely gather, see GATHER_S. A socket object for each
    would take 3 µs of a join, and ask the kernel for its name.
    """
    while True:
        fds, ended_by = _accept_some(listener)
        if fds:
            take(fds)
        if ended_by is None:
            await trio.lowlevel.checkpoint()
        elif ended_by.errno in _NO_DESCRIPTORS:
            # They wait in the kernel's queue until some viewer has gone.
            await trio.sleep(_PAUSE_S)
        elif fds:
            await trio.sleep(GATHER_S)
        else:
            await trio.lowlevel.wait_readable(listener)


async def waiting(listener: socket.socket) -> AsyncGenerator[int]:
    """Those that wait in the kernel's queue now, for a listener that is about to be closed: that would reset them.

    Ends when the queue is empty or there are no descriptors left; at the latest after as many as it holds, as others
    come meanwhile.
    """
    for number in range(BACKLOG):
        if number % ACCEPTS_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
        try:
            fd = _accept(listener)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                return
            continue  # it has gone meanwhile
        yield fd


def as_socket(listener: socket.socket, fd: int) -> socket.socket:
    """One of the listener's connections as an object, which closes it from now on."""
    return socket.socket(listener.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0, fd)


def _accept_some(listener: socket.socket) -> tuple[list[int], OSError | None]:
    """One turn's, and what kept it from being a full one."""
    fds: list[int] = []
    try:
        while len(fds) < ACCEPTS_PER_TURN:
            fds.append(_accept(listener))
    except OSError as error:
        return fds, error
    return fds, None


def _accept(listener: socket.socket) -> int:
    try:
        # Not accept(): it finds out anew for each connection what kind of socket this is, half of its time.
        fd, _ = listener._accept()  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in _NO_DESCRIPTORS:
            metrics.accept_failures.labels(errno.errorcode[error.errno]).inc()
            log().warning("can't accept", error=error.strerror)
        raise
    os.set_blocking(fd, False)
    return int(fd)
