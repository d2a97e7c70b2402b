"""Two thousand viewers, many of them hostile, while edge workers go one after the other: the good ones miss nothing."""

import signal
from collections.abc import Callable
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
RENEW_AT = COMMENTS // 3
"""Comments after which one worker after the other is drained and succeeded."""
GROWTH_MAX = 48 << 20
"""What a worker may take over what the first ones took when everyone was in, bytes. Fresh connections by the hundred
are freed and made anew all the time, and the allocator keeps some of it; backlogs that are kept are seen at once.
"""


class Worker:
    """One worker's process, by what it takes."""

    def __init__(self, facts: dict[str, str]) -> None:
        self.pid = int(facts["pid"])
        self.metrics = facts["metrics"]
        self._inner = httpx.HTTPTransport(uds=facts["inner"])

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def rss(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))

    def cut(self) -> float:
        """How many viewers it has cut for being behind."""
        lines = httpx.get(f"http://{self.metrics}/metrics", trust_env=False).text.splitlines()
        name = "livecomments_edge_viewers_behind_total "
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0)

    def warm_up(self, stream: str) -> None:
        """Lets it open what it opens once and keeps: its way to each of the other services."""
        with httpx.Client(transport=self._inner, base_url="http://test", timeout=10) as client:
            eventually(lambda: client.get("/readyz").status_code == 200, "the worker is ready")
            assert client.get(f"/v1/streams/{stream}/comments").status_code == 200


class Weighing:
    """What the workers took, each time that it was looked at."""

    def __init__(self, edge: Service) -> None:
        self._edge = edge
        self.rss: list[list[int]] = []

    def workers(self) -> list[Worker]:
        return [Worker(facts) for facts in self._edge.facts()["workers"]]

    def weigh(self) -> None:
        self.rss.append([worker.rss() for worker in self.workers()])

    @property
    def mib(self) -> list[list[int]]:
        return [[size >> 20 for size in sizes] for sizes in self.rss]

    @property
    def growth(self) -> int:
        return max(map(max, self.rss)) - max(self.rss[0])


def viewers() -> list[Member]:
    found: list[Member] = [
        Good(HANDED_OFF if number < BY_HYPERCORN else WAYS[number % len(WAYS)], number) for number in range(GOOD)
    ]
    for kind in (Frozen, Resetting, Dribbling, HalfClosing):
        found += [kind(WAYS[number % len(WAYS)], number) for number in range(OF_EACH_BAD_KIND)]
    return found


@pytest.mark.timeout(400)
def test_good_viewers_see_everything_once_whatever_the_others_do_and_whichever_worker_goes(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # Less may wait for a viewer than usual, so that those who freeze are cut for it well within the test.
    settings = {"edge_workers": "2", "edge_drain_s": "3", "edge_backlog_bytes": "65536"}
    with System(tmp_path, core_user_rate="0", edge_address_rate="0", **settings) as system:
        edge, weighing = system.edge, Weighing(system.edge)
        stream = system.create_stream()
        first = weighing.workers()
        for worker in first:
            worker.warm_up(stream)
        idle = max(worker.descriptors() for worker in first)
        posting = Posting(COMMENTS, RATE)
        posters = [Poster(f"user-{number}", system.token(f"user-{number}"), posting) for number in range(POSTERS)]
        with Crowd([edge.address], stream, [*viewers(), *posters]) as crowd:
            crowd.until(lambda: all(viewer.is_watching for viewer in crowd.good), "everyone is in", 60)
            weighing.weigh()
            posting.start()
            crowd.until(lambda: posting.accepted >= RENEW_AT, "a part of the comments", 120)
            weighing.weigh()
            edge.signal(signal.SIGHUP)
            gone = [Path(f"/proc/{worker.pid}") for worker in first]
            crowd.until(lambda: not any(process.exists() for process in gone), "both workers are succeeded", 60)
            weighing.weigh()
            crowd.until(lambda: posting.accepted == COMMENTS, "all comments are accepted", 120)
            crowd.until(lambda: all(len(v.numbers) >= COMMENTS for v in crowd.good), "everyone has all", 60)
            weighing.weigh()
            order = [number_of(comment["text"]) for comment in system.replay(stream, limit=1_000)]
            assert sorted(order) == list(range(COMMENTS))
            assert [viewer.name for viewer in crowd.good if viewer.numbers.tolist() != order] == []
            assert all(viewer.connections > 1 for viewer in crowd.good), "every worker was drained"
        record_property("rss_mib", weighing.mib)
        print(f"RSS of the workers at start, before and after their succession, and at the end, MiB: {weighing.mib}")
        assert weighing.growth < GROWTH_MAX
        last = weighing.workers()
        assert sum(worker.cut() for worker in last) > 0, "those who froze were cut"
        eventually(lambda: all(worker.descriptors() <= idle for worker in last), "no descriptor is left", timeout_s=40)
        logged = edge.output.read_text()
        assert "Traceback" not in logged, logged[-4000:]
        assert '"level": "error"' not in logged, logged[-4000:]
