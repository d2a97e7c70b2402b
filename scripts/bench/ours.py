"""Our edge with real parts before it, and the log as the place where comments come in.

nats-server, core, fanout and edge, each a process: comments are written straight to the log, which is what fanout
reads, so that the edge is measured and not the way in. Only the edge is on the measured core.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import nats
import uuid_utils
from comments import Due, author, schedule, text
from house import House, ask

from livecomments.log import Shard
from livecomments.v1.comment_pb2 import Comment, CommentPosted, Event, EventBatch

STREAM = "bench"
_SETTINGS = {
    # Nobody's comments are left out, and nobody is sent away at the end of the run.
    "EDGE_MAX_COMMENTS_PER_SECOND": "0",
    "EDGE_DRAIN_S": "0.1",
    "LOG_LEVEL": "warning",
    "DRAIN_S": "0.5",
}


class Ours:
    """A running system with one stream, for as long as the context is open."""

    name = "ours"
    parts: tuple[str, ...] = ("core", "fanout")
    """What runs before the edge, in this order."""

    def __init__(self, profile: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """``profile``: where cProfile writes what the edge did; a path from the repository's folder."""
        self.house = House("edge", {**_SETTINGS, **(settings or {})}, profile)
        self._open = ExitStack()
        self._published = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.house)
            for name in self.parts:
                self.house.start(name)
            edge, addresses = self.house.start("edge")
            self.port = int(addresses["listen"].rsplit(":", 1)[1])
            edge.until(self._is_ready, "is ready")
            self._create_stream()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _is_ready(self) -> bool:
        return ask(f"127.0.0.1:{self.port}", "GET", "/readyz")[0] == 200

    def _create_stream(self) -> None:
        token = self.house.token("host", "host")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = json.dumps({"stream_id": STREAM, "title": "A benchmark"})
        status, answer = ask(f"127.0.0.1:{self.port}", "POST", "/v1/streams", body, headers)
        if status != 201:
            raise SystemExit(f"the stream could not be created: {answer}")

    @property
    def pids(self) -> list[int]:
        """The edge's."""
        return [self.house.pids["edge"]]

    @property
    def requests(self) -> dict[str, bytes]:
        """What a viewer asks, by the way in which it watches."""
        path = f"/v1/streams/{STREAM}"
        return {
            "SSE": (
                f"GET {path}/comments/subscribe HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"
            ).encode(),
            "SSE gzip": (
                f"GET {path}/comments/subscribe HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n"
                "Accept-Encoding: gzip\r\n\r\n"
            ).encode(),
            "WebSocket": (
                f"GET {path}/feed HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ).encode(),
        }

    def rounds(self) -> int:
        """How often the edge has written to all its viewers so far."""
        return int(self.house.sample("edge", "livecomments_edge_round_seconds_count"))

    def publish(self, rate: float, seconds: float, text_size: int) -> int:
        """Writes comments to the log at a rate, whatever becomes of them; returns how many."""
        return asyncio.run(self._publish(rate, seconds, text_size))

    async def _publish(self, rate: float, seconds: float, text_size: int) -> int:
        client = await nats.connect(self.house.nats_url)
        before = self._published
        async for due in schedule(before + 1, rate, seconds):
            batch = EventBatch(events=[_posted(one, text_size) for one in due])
            await client.publish(Shard(0, "").subject(STREAM), batch.SerializeToString())
            await client.flush()
            self._published = due[-1][0]
        await client.close()
        return self._published - before


def _posted(due: Due, text_size: int) -> Event:
    comment_id = uuid_utils.uuid7()
    comment = Comment(
        comment_id=str(comment_id),
        stream_id=STREAM,
        author_id=author(due),
        author_name=author(due),
        text=text(due, text_size),
        posted_at_ms=comment_id.timestamp,
        offset_ms=due[1] // 1_000_000,
    )
    return Event(posted=CommentPosted(comment=comment))
