"""Three nats-servers with three copies of everything: killed or frozen, they lose and double nothing."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from livecomments.log import Log, connect, open_log
from livecomments.mirror import open_bucket
from livecomments.settings import Settings
from tests.cluster import NatsCluster, NatsNode
from tests.posting import POSTERS, Posting
from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer, follow

LOG = "COMMENTS_0"
RECOVERY_S = 60
"""An election takes up to 9 s, and this machine may be busy."""
MORE = 40
"""Comments after which posting and the feed are well again."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory, cluster: NatsCluster) -> Iterator[System]:
    """The whole system on it. Its first service comes before the servers have elected a leader."""
    lifted = {"core_user_rate": "0", "edge_address_rate": "0", "edge_max_comments_per_second": "0"}
    with System(tmp_path_factory.mktemp("clustered"), cluster, log_replicas="3", **lifted) as running:
        yield running
        for service in (running.core, running.storage, running.fanout, running.edge):
            logged = service.output.read_text()
            assert service.alive()
            assert "Traceback" not in logged, logged[-4000:]


@pytest.fixture(autouse=True)
def _settled(clustered: System, cluster: NatsCluster) -> None:
    """What the test before did to the servers is over."""
    clustered.ready()
    cluster.settle()


class Broadcast:
    """A stream with clients that post all the time, and viewers."""

    def __init__(self, system: System, posting: Posting, viewers: list[Viewer]) -> None:
        self._system = system
        self._posting = posting
        self._viewers = viewers

    def goes_on(self, when: str) -> None:
        """Waits until more is posted, and seen."""
        enough = len(self._posting.accepted) + MORE
        follow(self._viewers, lambda: len(self._posting.accepted) > enough, f"posting goes on {when}", RECOVERY_S)
        self.is_seen(set(self._posting.accepted), when)

    def stands_still(self) -> None:
        """Waits until each client was told so: it must not have been told anything else."""
        told = self._posting.refused
        follow(self._viewers, lambda: self._posting.refused >= told + POSTERS, "posting stands still", RECOVERY_S)

    def is_seen(self, comments: set[str], when: str) -> None:
        follow(
            self._viewers,
            lambda: all(comments <= set(viewer.ids()) for viewer in self._viewers),
            f"everyone sees all that was accepted {when}",
            RECOVERY_S,
        )

    def check(self) -> None:
        """Ends posting. Nothing is missing, doubled, or in another order, for anybody."""
        self._posting.stop()
        assert not self._posting.failure, "whatever was not 202 was 503"
        self.is_seen(set(self._posting.accepted), "in the end")
        order = self._viewers[0].ids()
        assert len(order) == len(set(order)), "nobody sees a comment twice"
        assert all(viewer.ids() == order for viewer in self._viewers), "all see one order"
        assert len(order) == len(set(self._viewers[0].texts())), "a repeated post is one comment"
        stored = self._system.stored(self._posting.stream, lambda found: len(found) >= len(order), RECOVERY_S)
        assert [comment["comment_id"] for comment in stored] == order, "the replay is the same"


@contextmanager
def on_air(system: System) -> Iterator[Broadcast]:
    stream = system.create_stream()
    viewers = [system.watch(stream) for _ in range(2)]
    try:
        with Posting(system, stream) as posting:
            broadcast = Broadcast(system, posting, viewers)
            broadcast.goes_on("at first")
            yield broadcast
            broadcast.check()
    finally:
        for viewer in viewers:
            viewer.disconnect()


def leader_with_clients(cluster: NatsCluster) -> NatsNode:
    """The worst one to lose: it leads the log, and core is connected to it."""
    node = cluster.served("core")
    cluster.lead(LOG, node)
    return node


def test_everything_has_three_copies(cluster: NatsCluster) -> None:
    copies = cluster.copies()
    assert copies.keys() >= {LOG, "KV_streams", "KV_bans", "DEADLETTER"}
    assert set(copies.values()) == {3}


def test_services_that_come_together_make_one_log(clustered: System, cluster: NatsCluster) -> None:
    settings = Settings(
        nats_url=tuple(cluster.url.split(",")), data_dir=clustered.data_dir, log_shards=2, log_replicas=3
    )

    async def come() -> object:
        async with connect(settings, "coming") as client:
            return await open_log(client.jetstream(), settings)

    async def come_together() -> list[object]:
        return await asyncio.gather(*(come() for _ in range(4)))

    first, *others = asyncio.run(come_together())
    assert all(log == first for log in others)


def test_what_had_one_copy_gets_as_many_as_the_setting_says(clustered: System, cluster: NatsCluster) -> None:
    def settings(replicas: int) -> Settings:
        urls = tuple(cluster.url.split(","))
        return Settings(nats_url=urls, data_dir=clustered.data_dir, log_shards=3, log_replicas=replicas)

    async def open_all(replicas: int) -> tuple[Log, list[int | None]]:
        async with connect(settings(replicas), "growing") as client:
            await open_bucket(client, "growing", replicas)
            log = await open_log(client.jetstream(), settings(replicas))
            infos = [await client.jetstream().stream_info(name) for name in (LOG, "COMMENTS_2", "KV_growing")]
            return log, [info.config.num_replicas for info in infos]

    log, copies = asyncio.run(open_all(1))
    assert copies == [3, 1, 1], "fewer are never taken"
    assert asyncio.run(open_all(3)) == (log, [3, 3, 3])
    cluster.settle()


def test_nothing_is_lost_when_the_leader_is_killed(clustered: System, cluster: NatsCluster) -> None:
    with on_air(clustered) as broadcast:
        leader = leader_with_clients(cluster)
        leader.kill()
        broadcast.goes_on("without it")
        leader.start()
        broadcast.goes_on("when it is back")


def test_nothing_is_lost_when_the_leader_freezes(clustered: System, cluster: NatsCluster) -> None:
    with on_air(clustered) as broadcast:
        with leader_with_clients(cluster).frozen():
            broadcast.goes_on("without it")
        broadcast.goes_on("when it is awake again, and believes that it leads")


def test_without_a_majority_nothing_is_accepted_and_a_retry_afterwards_gives_one_comment(
    clustered: System, cluster: NatsCluster
) -> None:
    stream = clustered.create_stream()
    before = clustered.post(stream, "before")
    viewer = clustered.watch(stream)
    leader = cluster.leader(LOG)
    gone = cluster.others(leader)
    for node in gone:
        node.kill()
    keys = [uuid.uuid4().hex for _ in range(3)]
    answers = [clustered.try_post(stream, f"retry {key}", key=key) for key in keys]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert {answer.json()["reason"] for answer in answers} <= {"NOT_CONFIRMED", "OVERLOADED"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    for node in gone:
        node.start()

    def retried(key: str) -> httpx.Response | None:
        answer = clustered.try_post(stream, f"retry {key}", key=key)
        assert answer.status_code in (202, 503), answer.text
        return answer if answer.status_code == 202 else None

    def repeated(key: str) -> str:
        comment_id: str = eventually(lambda: retried(key), "the retry is accepted", RECOVERY_S).json()["comment_id"]
        return comment_id

    accepted = [repeated(key) for key in keys]
    assert [repeated(key) for key in keys] == accepted
    stored = clustered.stored(stream, lambda comments: len(comments) > 3, RECOVERY_S)
    assert [comment["comment_id"] for comment in stored] == viewer_sees(viewer, 4)
    assert {comment["comment_id"] for comment in stored} == {before["comment_id"], *accepted}


def test_nothing_is_lost_when_a_majority_goes_with_the_leader_and_comes_back(
    clustered: System, cluster: NatsCluster
) -> None:
    with on_air(clustered) as broadcast:
        leader = leader_with_clients(cluster)
        gone = [leader, cluster.others(leader)[0]]
        for node in gone:
            node.kill()
        broadcast.stands_still()
        for node in gone:
            node.start()
        broadcast.goes_on("with all of them")


def viewer_sees(viewer: Viewer, count: int) -> list[str]:
    follow([viewer], lambda: len(viewer.ids()) >= count, f"the viewer sees {count} comments")
    viewer.disconnect()
    return viewer.ids()


def test_a_fanout_whose_server_is_behind_shows_everything(clustered: System, cluster: NatsCluster) -> None:
    cluster.lead(LOG, cluster.served("core"))
    behind = cluster.others(cluster.served("core"))[0]
    watched, cold = clustered.create_stream(), clustered.create_stream()
    with (
        clustered.service("fanout", "-behind", nats_url=behind.url) as fanout,
        clustered.service("edge", "-behind", fanout_urls=fanout.address) as edge,
    ):
        url = f"http://{edge.address}"
        viewer = Viewer(url, watched)
        viewer.until(lambda v: v.events, "the snapshot")
        behind.kill()
        posted = {
            stream: [clustered.post_until_accepted(stream, f"{number}")["comment_id"] for number in range(30)]
            for stream in (watched, cold)
        }
        behind.start()
        joined = Viewer(url, cold)
        assert viewer_sees(viewer, 30) == posted[watched]
        assert viewer_sees(joined, 30) == posted[cold]
