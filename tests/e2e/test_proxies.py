"""Behind proxies that keep their connections to the edge: a viewer comes on one that ordinary requests have used."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.grpc_web import GrpcWebViewer
from tests.processes import Service, eventually
from tests.proxies import Envoy, Nginx, Proxy
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer, watch

PROXIES = {"nginx": Nginx, "envoy": Envoy}
VIEWERS = 8
_ESTABLISHED = "01"


@pytest.fixture(scope="module")
def edge(system: System) -> Iterator[Service]:
    """One that nobody reaches but through a proxy."""
    with system.service("edge", "-proxied") as edge:
        ready = f"http://{edge.address}/readyz"
        eventually(lambda: httpx.get(ready, trust_env=False).status_code == 200, "the edge is ready")
        yield edge


@pytest.fixture(params=list(PROXIES))
def proxy(request: pytest.FixtureRequest, edge: Service, tmp_path: Path) -> Iterator[Proxy]:
    with PROXIES[request.param](request.param, tmp_path, edge.address) as proxy:
        yield proxy


def connections_to(edge: Service) -> set[str]:
    """The clients' addresses, as the kernel writes them."""
    port = f"{int(edge.address.split(':')[1]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[2].endswith(f":{port}") and row[3] == _ESTABLISHED}


def warm_up(proxy: Proxy, edge: Service, connections: int) -> set[str]:
    """An ordinary request, after which the proxy keeps its connection; there are so many then, viewers' among them."""
    assert httpx.get(f"{proxy.url}/livez", trust_env=False).status_code == 200
    eventually(lambda: len(connections_to(edge)) == connections, "the proxy has kept its connection")
    return connections_to(edge)


@pytest.mark.parametrize("way", [Viewer, SocketViewer, GrpcWebViewer])
def test_a_viewer_on_a_connection_that_a_proxy_has_kept_is_a_descriptor_and_nothing_else(
    system: System, edge: Service, proxy: Proxy, way: type[Viewer]
) -> None:
    stream = system.create_stream()
    eventually(lambda: edge.metric("livecomments_edge_connections") == 0, "the edge is empty")
    tasks = edge.metric("livecomments_edge_tasks")
    headers = {"Authorization": f"Bearer {system.token('ann')}"}
    path = f"{proxy.url}/v1/streams/{stream}/comments"
    assert httpx.post(path, json={"text": "before"}, headers=headers, trust_env=False).status_code == 202
    viewers: list[Viewer] = []
    try:
        for number in range(VIEWERS):
            kept = warm_up(proxy, edge, number + 1)
            viewer = way(proxy.url, stream)
            viewers.append(viewer)
            viewer.until(lambda v: v.events, "the snapshot")
            assert connections_to(edge) == kept, "it came on a connection that was there"
        for number in range(10):
            system.post(stream, f"{number}")
        expected = ["before", *map(str, range(10))]
        watch(viewers, lambda: all(viewer.texts() == expected for viewer in viewers), "everyone sees everything")
        assert edge.metric("livecomments_edge_connections") == VIEWERS
        assert edge.metric("livecomments_edge_ordinary_viewers") == 0
        # One that stayed with Hypercorn would have several.
        eventually(lambda: edge.metric("livecomments_edge_tasks") < tasks + VIEWERS, "no task is left behind")
    finally:
        for viewer in viewers:
            viewer.disconnect()
    eventually(lambda: edge.metric("livecomments_edge_connections") == 0, "the edge notices that they have gone")
    eventually(lambda: len(connections_to(edge)) <= 1, "and so does the kernel")
