"""With three copies, a PubAck means that two servers have the message on their disks: seen under strace."""

import asyncio
import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path

from livecomments.log import connect, open_log
from livecomments.settings import Settings
from tests.cluster import NatsCluster, NatsNode
from tests.conftest import ForgivingLoop
from tests.durability.nats_log import Told, pub_acks
from tests.durability.raft_log import copies_on_disk
from tests.durability.tracing import Trace, require_strace

MESSAGES = 20
_numbers = itertools.count()


class TracedNatsNode(NatsNode):
    """A server of a cluster under strace."""

    def __init__(self, data_dir: Path, routes: Sequence[int]) -> None:
        super().__init__(data_dir, routes)
        self.trace = Trace(data_dir / "nats-server.trace", next(_numbers))

    def spawn(self) -> None:
        self.command = [*self.trace.prefix, *self.command]
        super().spawn()


async def publish(cluster: NatsCluster) -> dict[int, bytes]:
    """Publishes, each message once the one before is acknowledged; returns their texts by sequence."""
    settings = Settings(nats_url=tuple(cluster.url.split(",")), log_replicas=3)
    async with connect(settings, "posting") as client:
        js = client.jetstream()
        shard = (await open_log(js, settings)).shards[0]
        await asyncio.to_thread(cluster.settle)
        texts = [uuid.uuid4().hex.encode() for _ in range(MESSAGES)]
        return {(await js.publish(shard.subject("demo"), text, 30)).seq: text for text in texts}


def test_each_message_was_on_two_disks_before_its_pub_ack(tmp_path: Path) -> None:
    require_strace()
    nodes: list[TracedNatsNode] = []

    def make(data_dir: Path, routes: Sequence[int]) -> TracedNatsNode:
        nodes.append(TracedNatsNode(data_dir, routes))
        return nodes[-1]

    with NatsCluster(tmp_path, make) as cluster, asyncio.Runner(loop_factory=ForgivingLoop) as runner:
        texts = runner.run(publish(cluster))
        servers = [node.trace.calls(node) for node in nodes]
    first: dict[int, Told] = {}
    for ack in sorted((ack for calls in servers for ack in pub_acks(calls)), key=lambda ack: ack.begin.at_us):
        if ack.stream == "COMMENTS_0":
            first.setdefault(ack.seq, ack)
    assert first.keys() == texts.keys()
    for seq, text in texts.items():
        missing = copies_on_disk(servers, text, first[seq])
        assert missing.count("") >= 2, f"{seq}: {missing}"
