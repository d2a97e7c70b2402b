"""A proxy between fanout and nats-server, in the test's own loop, that does harm to chosen messages alone.

Live messages (``live.*``) are lost, doubled and delivered late, drawn from a seed. Direct gets are answered as by a
follower that is behind, while ``stale`` says so. Everything else passes as it is.
"""

import asyncio
import contextlib
import heapq
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count

from tests.nats_proxy import Frame, Frames

_NOT_FOUND = b"NATS/1.0 404 Message Not Found\r\n\r\n"


@dataclass
class Mischief:
    """What becomes of live messages: shares of one, drawn from a seed. Without any they all pass. Plain code."""

    seed: int = 0
    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    most_late: int = 6
    """Behind how many later live messages one may come at most. One that none follows is lost."""
    done: dict[str, int] = field(default_factory=lambda: {"lost": 0, "doubled": 0, "late": 0})

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def copies(self) -> list[int]:
        """How often the next message is delivered, and behind how many later ones each time; 0 is at once."""
        draw = self._random.random()
        for kind, share in (("lost", self.lost), ("doubled", self.doubled), ("late", self.late)):
            if draw < share:
                self.done[kind] += 1
                later = self._random.randint(1, self.most_late)
                return {"lost": [], "doubled": [0, later], "late": [later]}[kind]
            draw -= share
        return [0]


class LiveProxy:
    """Open one with ``open_live_proxy()``."""

    def __init__(self, url: str) -> None:
        self._host, self._port = url.removeprefix("nats://").split(":")
        self._ends: set[asyncio.StreamWriter] = set()
        self.url = ""
        self.mischief = Mischief()
        self.stale: Callable[[], bool] = lambda: False
        """Whether the next direct get finds nothing."""
        self.stale_answers = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        try:
            there_reader, there_writer = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            writer.close()
            return
        self._ends |= {writer, there_writer}
        inboxes: dict[bytes, bytes] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._up(reader, there_writer, writer, inboxes))
                tasks.create_task(self._down(there_reader, writer))
        finally:
            self._ends -= {writer, there_writer}

    async def _up(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        inboxes: dict[bytes, bytes],
    ) -> None:
        """From the service to nats-server. ``inboxes``: subscription ids by subject."""
        frames = Frames()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    words = _words(frame)
                    if frame.verb == b"SUB":
                        inboxes[words[1]] = words[-1]
                    if frame.subject.startswith(b"$JS.API.DIRECT.GET.") and self.stale():
                        self.stale_answers += 1
                        client.write(_not_found(words[2], inboxes))
                    else:
                        server.write(frame.raw)
                await server.drain()
        server.close()

    async def _down(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """From nats-server to the service."""
        frames, turns, live = Frames(), count(), 0
        held: list[tuple[int, int, bytes]] = []
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    if not frame.subject.startswith(b"live."):
                        client.write(frame.raw)
                        continue
                    live += 1
                    for later in self.mischief.copies():
                        heapq.heappush(held, (live + later, next(turns), frame.raw))
                    while held and held[0][0] <= live:
                        client.write(heapq.heappop(held)[2])
                await client.drain()
        client.close()

    def cut(self) -> None:
        """Ends the connections; new ones are taken."""
        for end in self._ends:
            end.close()


def _words(frame: Frame) -> list[bytes]:
    """Of its first line."""
    return frame.raw.partition(b"\r\n")[0].split()


def _not_found(inbox: bytes, inboxes: dict[bytes, bytes]) -> bytes:
    wildcard = inbox.rpartition(b".")[0] + b".*"
    number = inboxes[inbox] if inbox in inboxes else inboxes[wildcard]
    size = len(_NOT_FOUND)
    return b"HMSG %b %b %d %d\r\n%b\r\n" % (inbox, number, size, size, _NOT_FOUND)


@contextlib.asynccontextmanager
async def open_live_proxy(url: str) -> AsyncIterator[LiveProxy]:
    """A proxy in front of the server at ``url``, in this loop."""
    proxy = LiveProxy(url)
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()
