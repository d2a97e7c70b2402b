"""Viewers that have gone are noticed at once, however they went."""

import socket
import struct
import time
from collections.abc import Callable

import httpx
import pytest

from tests.grpc_web import GrpcWebViewer
from tests.processes import eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import GzipViewer, Viewer, watch

NOTICED_S = 1.0


def connections(system: System) -> float:
    text = httpx.get(f"http://{system.edge.metrics}/metrics", trust_env=False).text
    (line,) = [line for line in text.splitlines() if line.startswith("livecomments_edge_connections ")]
    return float(line.split()[1])


def fin(viewer: Viewer) -> None:
    viewer.disconnect()


def reset(viewer: Viewer) -> None:
    taken = socket.socket(fileno=viewer.fileno())
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    taken.detach()
    viewer.disconnect()


@pytest.mark.parametrize("kind", [Viewer, GzipViewer, SocketViewer, GrpcWebViewer])
@pytest.mark.parametrize("go", [fin, reset])
def test_one_that_has_gone_is_noticed_within_a_second(
    system: System, kind: type[Viewer], go: Callable[[Viewer], None]
) -> None:
    stream = system.create_stream()
    before = connections(system)
    viewers = [kind(system.url, stream) for _ in range(5)]
    watch(viewers, lambda: all(viewer.events for viewer in viewers), "everyone's snapshot")
    eventually(lambda: connections(system) >= before + 5, "they are counted")
    here = connections(system)
    gone_at = time.monotonic()
    for viewer in viewers:
        go(viewer)
    eventually(lambda: connections(system) <= here - 5, "they are noticed", 5)
    assert time.monotonic() - gone_at < NOTICED_S
