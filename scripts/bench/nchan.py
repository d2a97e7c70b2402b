"""nchan, the leanest of the peers: nginx with its module, as Debian packages them.

apt-get install --no-install-recommends nginx libnginx-mod-nchan
"""

import asyncio
import json
import shutil
import socket
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import machine
from children import Child
from comments import Due, author, schedule, text

_CONFIG = """\
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {descriptors}; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    # The benchmark's publisher stays on one connection.
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    nchan_shared_memory_size 512m;
    server {{
        listen 127.0.0.1:{port} backlog=4096 deferred;
        location = /watch {{
            nchan_subscriber eventsource websocket;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }}
        location = /post {{
            nchan_publisher;
            nchan_channel_id bench;
            nchan_message_buffer_length 100;
            nchan_message_timeout 1m;
        }}
    }}
}}
"""


def find() -> tuple[Path, Path] | None:
    """Where nginx and nchan's module are, when both are installed."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        return None
    module = Path(nginx).parent.parent / "lib/nginx/modules/ngx_nchan_module.so"
    return (Path(nginx), module) if module.exists() else None


class Nchan:
    """A running nginx with one channel, for as long as the context is open. Must be installed."""

    name = "nchan"

    def __init__(self) -> None:
        self._open = ExitStack()
        self._published = 0

    def __enter__(self) -> Self:
        found = find()
        assert found is not None, "not installed"
        nginx, module = found
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        with ExitStack() as opening:
            folder = Path(opening.enter_context(tempfile.TemporaryDirectory()))
            config = folder / "nginx.conf"
            descriptors = machine.descriptors()
            config.write_text(_CONFIG.format(module=module, folder=folder, port=self.port, descriptors=descriptors))
            command = [str(nginx), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
            self._nginx = opening.enter_context(Child("nginx", command, machine.cores()[0], folder))
            self._nginx.until(self._is_ready, "accepts")
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    @property
    def pids(self) -> list[int]:
        """Those of nginx: it and its worker."""
        return machine.descendants(self._nginx.pid)

    @property
    def requests(self) -> dict[str, bytes]:
        """What a viewer asks, by the way in which it watches."""
        head = "GET /watch HTTP/1.1\r\nHost: bench\r\n"
        return {
            "SSE": f"{head}Accept: text/event-stream\r\n\r\n".encode(),
            "WebSocket": (
                f"{head}Connection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ).encode(),
        }

    def rounds(self) -> int:
        """How often it has written to all its viewers so far: each comment goes alone."""
        return self._published

    def publish(self, rate: float, seconds: float, text_size: int) -> int:
        """Posts comments at a rate, in the shape that ours have; returns how many."""
        return asyncio.run(self._publish(rate, seconds, text_size))

    async def _publish(self, rate: float, seconds: float, text_size: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        before = self._published
        async for due in schedule(before + 1, rate, seconds):
            for one in due:
                body = _comment(one, text_size)
                writer.write(b"POST /post HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                self._published = one[0]
        writer.close()
        await writer.wait_closed()
        return self._published - before


def _comment(due: Due, text_size: int) -> bytes:
    comment = {
        "comment_id": str(uuid.uuid4()),
        "author_id": author(due),
        "author_name": author(due),
        "text": text(due, text_size),
        "posted_at": "2026-11-21T10:00:00.000Z",
        "offset_ms": due[1] // 1_000_000,
    }
    return json.dumps(comment, separators=(",", ":")).encode()
