"""Connections are renewed after a time, and end with their tokens: every way in, and nothing is missed."""

import time
from collections.abc import Iterator

import pytest

from tests.grpc_web import GrpcWebViewer
from tests.http2 import Http2SocketViewer
from tests.processes import Service
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import GzipViewer, Viewer, follow, watch


@pytest.fixture(scope="module")
def hasty(system: System) -> Iterator[Service]:
    """An edge that renews its connections after a second."""
    with system.service("edge", "-hasty", edge_max_connection_age_s="1") as edge:
        yield edge


def test_connections_are_renewed_and_miss_nothing(system: System, hasty: Service) -> None:
    stream, url = system.create_stream(), f"http://{hasty.address}"
    sockets: list[SocketViewer] = [SocketViewer(url, stream), Http2SocketViewer(url, stream)]
    texts = [GzipViewer(url, stream), Viewer(url, stream), GrpcWebViewer(url, stream)]
    everyone = [*sockets, *texts]
    watch(everyone, lambda: all(viewer.events for viewer in everyone), "everyone's snapshot")
    began = time.monotonic()
    posted: list[str] = []
    renewed: set[Viewer] = set()
    codes: list[int] = []

    def all_were_renewed() -> bool:
        posted.append(f"comment {len(posted)}")
        system.post(stream, posted[-1], user=f"user{len(posted)}")
        renewed.update(viewer for viewer in everyone if viewer.closed)
        codes.extend(viewer.close[0] for viewer in sockets if viewer.closed and viewer.close)
        return len(renewed) == len(everyone)

    follow(everyone, all_were_renewed, "everyone is renewed")
    assert time.monotonic() - began < 10
    follow(everyone, lambda: all(len(viewer.texts()) >= len(posted) for viewer in everyone), "every comment")
    assert [viewer.texts() for viewer in everyone] == [posted] * len(everyone)
    assert len(codes) >= len(sockets)
    assert set(codes) == {1001}
    for viewer in everyone:
        viewer.disconnect()


def test_a_connection_ends_with_its_token(system: System) -> None:
    stream = system.create_stream()

    def token() -> str:
        return system.token("ann", ttl_s=2)

    sockets = [SocketViewer(system.url, stream, token=token()), Http2SocketViewer(system.url, stream, token=token())]
    texts = [Viewer(system.url, stream, token=token()), GzipViewer(system.url, stream, token=token())]
    stranger = Viewer(system.url, stream)
    everyone = [*sockets, *texts, stranger]
    watch(everyone, lambda: all(viewer.events for viewer in everyone), "everyone's snapshot")
    leaving = [*sockets, *texts]
    watch(leaving, lambda: all(viewer.closed for viewer in leaving), "everyone with a token is sent away", 6)
    assert [viewer.close for viewer in sockets] == [(1008, "the token has expired")] * 2
    viewer = texts[0]
    viewer.connect()
    viewer.until(lambda viewer: viewer.status, "an answer")
    assert viewer.status == 401, "which a browser takes as final"
    system.post(stream, "without a token")
    stranger.until(lambda viewer: viewer.texts(), "who has none stays")
    for each in everyone:
        each.disconnect()
