"""Our edge with real parts before it, and the log as the place where comments come in.

nats-server, core, fanout and edge, each a process: comments are written straight to the log, which is what fanout
reads, so that the edge is measured and not the way in. Only the edge is on the measured core.
"""

import asyncio
import http.client
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import machine
import nats
import uuid_utils
from children import Child, ports
from comments import Due, author, schedule, text
from native import HERE

from livecomments.local import make_secrets, nats_server_binary, nats_url, write_nats_config
from livecomments.log import Shard
from livecomments.settings import Settings
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
        self._profile = profile
        self._settings = {**_SETTINGS, **(settings or {})}
        self._open = ExitStack()
        self._published = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._folder = Path(opening.enter_context(tempfile.TemporaryDirectory()))
            make_secrets(self._folder)
            self._start(opening)
            self._create_stream()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self, opening: ExitStack) -> None:
        edge_core, other_core = machine.cores()
        config = write_nats_config(self._folder)
        command = [str(nats_server_binary()), "-c", str(config)]
        server = opening.enter_context(Child("nats-server", command, other_core, self._folder))
        self._nats = server.until(lambda: nats_url(self._folder), "has said where it listens")
        urls: dict[str, str] = {}
        for name in self.parts:
            urls[f"{name.upper()}_URLS"] = self._service(opening, name, other_core, urls)[1]["listen"]
        self._edge, addresses = self._service(opening, "edge", edge_core, urls)
        self.port = int(addresses["listen"].rsplit(":", 1)[1])
        self._metrics = addresses["metrics"]
        self._edge.until(self._is_ready, "is ready")

    def _service(
        self, opening: ExitStack, name: str, core: int, settings: dict[str, str]
    ) -> tuple[Child, dict[str, str]]:
        file = self._folder / f"{name}.ports"
        all_settings = {
            **self._settings,
            **settings,
            "DATA_DIR": str(self._folder),
            "PORTS_FILE": str(file),
            "NATS_URL": self._nats,
            f"{name.upper()}_LISTEN": "127.0.0.1:0",
            f"{name.upper()}_METRICS_LISTEN": "127.0.0.1:0",
        }
        program = [str(HERE / "profiled.py"), str(self._profile)] if self._profile and name == "edge" else ["-m"]
        command = [sys.executable, *program, name]
        environment = {f"LIVECOMMENTS_{key}": value for key, value in all_settings.items()}
        child = opening.enter_context(Child(name, command, core, self._folder, environment))
        return child, child.until(lambda: ports(file), "has said where it listens")

    def _is_ready(self) -> bool:
        return _ask(f"127.0.0.1:{self.port}", "GET", "/readyz")[0] == 200

    def _create_stream(self) -> None:
        headers = {"Authorization": f"Bearer {self.token('host')}", "Content-Type": "application/json"}
        body = json.dumps({"stream_id": STREAM, "title": "A benchmark"})
        status, answer = _ask(f"127.0.0.1:{self.port}", "POST", "/v1/streams", body, headers)
        if status != 201:
            raise SystemExit(f"the stream could not be created: {answer}")

    def token(self, role: str) -> str:
        """Who has it is of this role, for as long as a run may take."""
        return Settings(data_dir=self._folder).token_key().issue(role, role=role, ttl_s=3_600)

    @property
    def pids(self) -> list[int]:
        """The edge's."""
        return [self._edge.pid]

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
        name = "livecomments_edge_round_seconds_count "
        lines = _ask(self._metrics, "GET", "/metrics")[1].splitlines()
        return next(int(float(line.removeprefix(name))) for line in lines if line.startswith(name))

    def publish(self, rate: float, seconds: float, text_size: int) -> int:
        """Writes comments to the log at a rate, whatever becomes of them; returns how many."""
        return asyncio.run(self._publish(rate, seconds, text_size))

    async def _publish(self, rate: float, seconds: float, text_size: int) -> int:
        client = await nats.connect(self._nats)
        before = self._published
        async for due in schedule(before + 1, rate, seconds):
            batch = EventBatch(events=[_posted(one, text_size) for one in due])
            await client.publish(Shard(0, "").subject(STREAM), batch.SerializeToString())
            await client.flush()
            self._published = due[-1][0]
        await client.close()
        return self._published - before


def _ask(
    address: str, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """One request: status and body."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


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
