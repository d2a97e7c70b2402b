"""Connections to nats-servers, where nats-py's own trust their peer too far."""

import asyncio
import ssl
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsError

CLOSE_S = 1.0
"""How long a server may take for what it was sent before its connection was given up."""


class BoundedTransport(TcpTransport):
    """Closes in time. nats-py's own waits until its last bytes are taken: to a frozen server that was sent more than
    the kernel keeps, for ever, and the client goes to no other server meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._is_retired = False

    def __bool__(self) -> bool:
        # nats-py takes what is false for missing, and makes one of its own.
        return True

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connects anew; what is left of an attempt before is given up."""
        if self._is_retired:
            # What nats-py's endless attempts end by.
            raise asyncio.CancelledError
        self.abort()
        await super().connect(uri, buffer_size, connect_timeout)

    async def wait_closed(self) -> None:
        """Returns within CLOSE_S."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await super().wait_closed()  # type: ignore[no-untyped-call]
        except TimeoutError:
            self.abort()

    def retire(self) -> None:
        """Ends the connection at once, and every task that still tries to connect anew.

        nats-py cancels the last of these tasks, once. Before Python 3.12 a cancellation that comes in the moment when a
        server refuses is lost; then the task goes on for ever, and so does the loop that waits for it in the end.
        """
        self._is_retired = True
        self.abort()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()


class EncryptedTransport(BoundedTransport):
    """Says nothing to a server in the clear. nats-py leaves it to the server whether there is TLS."""

    def __init__(self) -> None:
        super().__init__()
        self._is_encrypted = False

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        self._is_encrypted = False
        await super().connect(uri, buffer_size, connect_timeout)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        self._is_encrypted = True

    def write(self, payload: bytes) -> None:
        """Raises nats.errors.Error before the connection is encrypted."""
        if not self._is_encrypted:
            raise NatsError("the server offers no TLS, which the settings demand")
        super().write(payload)  # type: ignore[no-untyped-call]
