"""Viewers that have gone are noticed at once, however they went, and make room for those who wait."""

import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest

from tests.grpc_web import GrpcWebViewer
from tests.processes import eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import GzipViewer, Viewer, watch

NOTICED_S = 1.0


def connections(system: System) -> float:
    return system.edge.metric("livecomments_edge_connections")


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


def test_where_descriptors_run_out_the_others_wait_until_someone_leaves(system: System) -> None:
    stream = system.create_stream()
    edge = system.service("edge", "-few", edge_max_viewers="1000")
    edge.command = ["sh", "-c", 'ulimit -n 120; exec "$@"', "sh", *edge.command]
    with edge, ExitStack() as open_ones:
        eventually(lambda: httpx.get(f"http://{edge.address}/readyz", trust_env=False).is_success, "the edge is ready")
        viewers = [open_ones.enter_context(Viewer(f"http://{edge.address}", stream)) for _ in range(150)]

        def served() -> list[Viewer]:
            return [viewer for viewer in viewers if viewer.events]

        eventually(lambda: "can't accept" in edge.output.read_text(), "the descriptors have run out")
        system.post(stream, "to those who are in")
        watch(
            viewers,
            lambda: len(served()) > 20 and all(viewer.texts() for viewer in served()),
            "they are served all the same",
        )
        first = served()
        assert len(first) < 120
        for viewer in first:
            viewer.disconnect()
        rest = [viewer for viewer in viewers if viewer not in first]
        # Each time as many as there is room for.
        watch(rest, lambda: len([viewer for viewer in rest if viewer.events]) >= min(len(rest), 20), "others come in")
        for viewer in rest:
            viewer.disconnect()
        # Metrics are read over a descriptor, too.
        assert edge.metric('livecomments_edge_accept_failures_total{why="EMFILE"}') > 0
