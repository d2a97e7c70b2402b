"""An edge that leaves: its viewers go on at another one, and none of them misses or doubles anything."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.grpc_web import GrpcWebViewer
from tests.processes import Service, eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import GzipViewer, Viewer, follow, watch

DRAIN_S = 2.0
EACH = 8


@contextmanager
def posting(system: System, stream: str) -> Iterator[list[str]]:
    """Comments, one after the other, while the context is open; what was posted."""
    posted: list[str] = []
    stop = threading.Event()

    def post() -> None:
        while not stop.wait(0.02):
            system.post(stream, f"comment {len(posted)}", user=f"user{len(posted)}")
            posted.append(f"comment {len(posted)}")

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield posted
    finally:
        stop.set()
        thread.join(20)


def test_viewers_of_an_edge_that_drains_go_on_at_another_and_miss_nothing(system: System) -> None:
    stream = system.create_stream()
    with ExitStack() as open_ones:
        leaving = open_ones.enter_context(
            system.service("edge", "-leaving", edge_drain_s=str(DRAIN_S), edge_workers="2")
        )
        other = open_ones.enter_context(system.service("edge", "-other"))
        eventually(lambda: readiness(inner_address(leaving)) == 200, "the edge that will leave is ready")
        kinds: list[type[Viewer]] = [Viewer, GzipViewer, SocketViewer, GrpcWebViewer]
        viewers = [kind(f"http://{leaving.address}", stream) for kind in kinds for _ in range(EACH)]
        for viewer in viewers:
            open_ones.callback(viewer.disconnect)
        watch(viewers, lambda: all(viewer.events for viewer in viewers), "everyone's snapshot")
        inner = inner_address(leaving)
        left_at: dict[Viewer, float] = {}
        retries: set[int] = set()
        codes: set[int] = set()
        statuses: set[int] = set()

        def moved() -> bool:
            for viewer in viewers:
                if viewer.closed and viewer not in left_at:
                    left_at[viewer] = time.monotonic()
                    viewer.host = other.address
                    if type(viewer) in (Viewer, GzipViewer):
                        assert viewer.retry_ms is not None
                        retries.add(viewer.retry_ms)
                    if isinstance(viewer, SocketViewer):
                        assert viewer.close is not None
                        codes.add(viewer.close[0])
            if len(left_at) < len(viewers):
                statuses.add(readiness(inner))
            return len(left_at) == len(viewers)

        with posting(system, stream) as posted:
            follow(viewers, lambda: all(len(viewer.texts()) > 10 for viewer in viewers), "they see what is posted")
            assert leaving.popen is not None
            leaving.popen.terminate()
            began = time.monotonic()
            follow(viewers, moved, "everyone has left")
            follow(viewers, lambda: all(not viewer.closed for viewer in viewers), "everyone is at the other edge")
        assert leaving.popen.wait(10) == 0
        follow(viewers, lambda: all(viewer.texts()[-1] == posted[-1] for viewer in viewers), "the last comment")
        assert [viewer.texts() for viewer in viewers] == [posted] * len(viewers)
        snapshots = [event.data for viewer in viewers for event in viewer.events[1:] if event.name == "snapshot"]
        assert all(snapshot["recovered"] for snapshot in snapshots)
    times = sorted(at - began for at in left_at.values())
    assert times[-1] < DRAIN_S + 2
    # A part at a time, from the beginning to the end.
    assert times[len(times) // 4] < DRAIN_S
    assert times[-1] - times[len(times) // 4] > DRAIN_S / 4
    assert times[-1] - times[0] > DRAIN_S / 2
    assert 503 in statuses
    assert codes == {1001}
    assert len(retries) > 2
    assert all(200 <= retry <= 2_500 for retry in retries)


def inner_address(service: Service) -> str:
    return service.facts()["workers"][0]["inner"]


def readiness(inner: str) -> int:
    """What /readyz says; 0 when the process has ended."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(inner)
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            return int(connection.recv(4096).split()[1])
        except (OSError, IndexError):
            return 0
