"""Taking connections from a listening socket."""

import errno
import socket
from collections.abc import AsyncGenerator

import trio

from edge import metrics
from livecomments.telemetry import log

ACCEPTS_PER_TURN = 64
"""Connections taken before other tasks have their turn: a storm of joins must not starve the broadcast."""
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S = 0.1


async def accepted(listener: socket.socket) -> AsyncGenerator[socket.socket]:
    """Connections, non-blocking, as they come; for ever. A listener that is non-blocking itself is needed."""
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _NO_DESCRIPTORS:
                    # They wait in the kernel's queue until some viewer has gone.
                    metrics.accept_failures.labels(errno.errorcode[error.errno]).inc()
                    log().warning("can't accept", error=error.strerror)
                    await trio.sleep(_PAUSE_S)
                break
            connection.setblocking(False)
            yield connection
        await trio.lowlevel.checkpoint()
