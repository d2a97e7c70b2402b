"""Two thousand viewers, many of them hostile, while edges go down and come back: the good ones notice nothing."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.crowd.crowd import Crowd
from tests.crowd.hostile import Dribbling, Frozen, HalfClosing, Resetting
from tests.crowd.members import Good, Member
from tests.crowd.posting import Poster, Posting
from tests.crowd.wire import HANDED_OFF, WAYS, number_of
from tests.processes import Service, eventually
from tests.system import System

GOOD = 1_200
OF_EACH_BAD_KIND = 200
BY_HYPERCORN = 60
"""Of the good ones: they come in through Hypercorn."""
RATE = 100
SECONDS = 60
COMMENTS = RATE * SECONDS
POSTERS = 20
DRAIN_AT = (COMMENTS // 4, COMMENTS // 2)
"""Comments after which one edge after the other is drained."""
GROWTH_MAX = 48 << 20
"""What an edge may take over what it took when everyone was in, bytes. Fresh connections by the hundred are freed and
made anew all the time, and the allocator keeps some of it; a viewer that leaks its backlog is seen at once.
"""


class Watched:
    """An edge, by what it takes: memory and descriptors, over all its processes."""

    def __init__(self, edge: Service) -> None:
        self.edge = edge
        self.idle = self.descriptors()
        self.rss: list[int] = []

    def descriptors(self) -> int:
        assert self.edge.popen is not None
        return len(list(Path(f"/proc/{self.edge.popen.pid}/fd").iterdir()))

    def dropped(self, client: httpx.Client) -> float:
        """How many viewers were cut for being behind, by its latest process."""
        lines = client.get(f"http://{self.edge.metrics}/metrics").text.splitlines()
        name = "livecomments_edge_viewers_behind_total "
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0)

    def weigh(self) -> None:
        assert self.edge.popen is not None
        status = Path(f"/proc/{self.edge.popen.pid}/status").read_text()
        self.rss.append(next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS")))

    def replace(self) -> None:
        """Drains it; another one takes its place when it has gone."""
        assert self.edge.stop(timeout_s=30) == 0
        self.edge.start()

    def assert_quiet(self) -> None:
        logged = self.edge.output.read_text()
        assert "Traceback" not in logged, logged[-4000:]
        assert '"level": "error"' not in logged, logged[-4000:]


def viewers() -> list[Member]:
    found: list[Member] = [
        Good(HANDED_OFF if number < BY_HYPERCORN else WAYS[number % len(WAYS)], number) for number in range(GOOD)
    ]
    for kind in (Frozen, Resetting, Dribbling, HalfClosing):
        found += [kind(WAYS[number % len(WAYS)], number) for number in range(OF_EACH_BAD_KIND)]
    return found


@pytest.mark.timeout(300)
def test_good_viewers_see_everything_once_whatever_the_others_do_and_whichever_edge_goes(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    limits = {"core_user_rate": "0", "edge_address_rate": "0", "edge_max_comments_per_second": "0"}
    # Less may wait for a viewer than usual, so that those who freeze are cut for it well within the test.
    with (
        System(tmp_path, **limits, edge_drain_s="3", edge_backlog_bytes="65536") as system,
        system.service("edge", "-b") as other,
    ):
        addresses = [system.edge.address, other.address]
        stream = system.create_stream()
        for address in addresses:
            warm_up(system, address, stream)
        edges = [Watched(other), Watched(system.edge)]
        posting = Posting(COMMENTS, RATE)
        posters = [Poster(f"user-{number}", system.token(f"user-{number}"), posting) for number in range(POSTERS)]
        with Crowd(addresses, stream, [*viewers(), *posters]) as crowd, ThreadPoolExecutor(1) as aside:
            crowd.until(lambda: all(viewer.is_watching for viewer in crowd.good), "everyone is in", 60)
            weigh(edges)
            posting.start()
            for edge, count in zip(edges, DRAIN_AT, strict=True):
                crowd.until(lambda n=count: posting.accepted >= n, "a part of the comments", 120)
                weigh(edges)
                replaced = aside.submit(edge.replace)
                crowd.until(replaced.done, "the drained edge is replaced", 60)
                replaced.result()
                weigh(edges)
            crowd.until(lambda: posting.accepted == COMMENTS, "all comments are accepted", 120)
            crowd.until(lambda: all(len(v.numbers) >= COMMENTS for v in crowd.good), "everyone has all", 60)
            weigh(edges)
            order = [number_of(comment["text"]) for comment in system.replay(stream, limit=1_000)]
            assert sorted(order) == list(range(COMMENTS))
            assert [viewer.name for viewer in crowd.good if viewer.numbers.tolist() != order] == []
            assert all(viewer.connections > 1 for viewer in crowd.good), "every edge was drained"
        record_property("rss_mib", [[size >> 20 for size in edge.rss] for edge in edges])
        print(f"RSS of each edge, MiB: {[[size >> 20 for size in edge.rss] for edge in edges]}")
        assert sum(edge.dropped(system.client) for edge in edges) > 0, "those who froze were cut"
        for edge in edges:
            eventually(lambda e=edge: e.descriptors() <= e.idle, "no descriptor is left", timeout_s=40)
            assert max(edge.rss) - edge.rss[0] < GROWTH_MAX
            edge.assert_quiet()


def weigh(edges: Sequence[Watched]) -> None:
    for edge in edges:
        edge.weigh()


def warm_up(system: System, address: str, stream: str) -> None:
    """What an edge opens once and keeps is open: its way to each of the other services."""
    eventually(lambda: system.client.get(f"http://{address}/readyz").status_code == 200, "the edge is ready")
    assert system.client.get(f"http://{address}/v1/streams/{stream}/comments").status_code == 200
