"""Two fences on one stream's log, each step taken by hand, against a real nats-server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from core import changes
from core.fence import Fence
from core.limits import UserRate
from core.stream_log import StreamLog
from core.streams import StreamStore, open_store
from livecomments.log import connect, open_log
from livecomments.registry import Registry
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import STREAM_STATE_LIVE, Comment, EventBatch, Stream
from tests.processes import NatsServer

pytestmark = pytest.mark.anyio

START_MS = 1_700_000_000_000


class Stage:
    """A log, a registry, and cores that come to one stream."""

    def __init__(
        self, client: Client, stream_log: StreamLog, store: StreamStore, stream: Stream, revision: int
    ) -> None:
        self.client = client
        self.log = stream_log
        self.store = store
        self._stream = stream
        self._revision = revision

    async def core(self) -> Fence:
        """One more core that takes the stream over, knowing what the registry said at first."""
        fence = Fence(self._stream, self._revision, self.log, self.store, UserRate(1, 10))
        await fence.take_over()
        return fence

    async def registered(self) -> Stream:
        entry = await self.store.read(self._stream.stream_id)
        assert entry is not None
        return entry[0]


@pytest.fixture
async def stage(standing_nats: NatsServer, standing_dir: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    settings = Settings(nats_url=(standing_nats.url,), data_dir=standing_dir)
    stream = Stream(stream_id=request.node.name[:64], state=STREAM_STATE_LIVE, started_at_ms=START_MS)
    async with connect(settings, "stage") as client:
        shard = (await open_log(client.jetstream(), settings)).shard_of(stream.stream_id)
        store = await open_store(client, 1, Registry())
        revision = await store.create(stream)
        yield Stage(client, StreamLog(client, shard, stream.stream_id), store, stream, revision)


async def append(fence: Fence, decide: changes.Decide) -> int | None:
    event = decide(fence.ledger, START_MS)
    assert event is not None
    return await fence.append(EventBatch(events=[event]))


def pin(name: str) -> changes.Decide:
    return changes.pin(Comment(comment_id=name))


async def test_who_comes_second_learns_what_the_first_did_and_decides_again(stage: Stage) -> None:
    one, two = await stage.core(), await stage.core()
    seq = await append(one, pin("x"))
    assert seq is not None
    assert await append(two, pin("y")) is None
    assert two.ledger.stream.pinned.comment_id == "x"
    again = await append(two, pin("y"))
    assert again is not None
    assert again > seq


async def test_a_late_writer_does_not_put_the_registry_back(stage: Stage) -> None:
    """The first stalls between log and registry; meanwhile the second goes on in both."""
    one, two = await stage.core(), await stage.core()
    await append(one, pin("x"))
    assert await append(two, pin("y")) is None
    await append(two, pin("y"))
    await two.project()
    assert (await stage.registered()).pinned.comment_id == "y"
    await one.project()
    assert (await stage.registered()).pinned.comment_id == "y"
    assert one.ledger.stream.pinned.comment_id == "y"


async def test_who_projects_first_hands_on_what_a_dead_core_could_not(stage: Stage) -> None:
    """The first dies between log and registry."""
    dead = await stage.core()
    await append(dead, changes.update(Stream(title="New"), ["title"]))
    heir = await stage.core()
    await heir.project()
    assert (await stage.registered()).title == "New"
    assert not heir.ledger.unprojected


async def test_two_that_know_the_same_write_the_registry_once(stage: Stage) -> None:
    one, two = await stage.core(), await stage.core()
    await append(one, pin("x"))
    assert await append(two, pin("y")) is None
    await one.project()
    before = await stage.store.read((await stage.registered()).stream_id)
    await two.project()
    assert await stage.store.read((await stage.registered()).stream_id) == before
    assert not two.ledger.unprojected


async def test_a_log_that_was_trimmed_under_a_fence_is_appended_to_all_the_same(stage: Stage) -> None:
    fence = await stage.core()
    await append(fence, pin("x"))
    await stage.client.jetstream().purge_stream(stage.log.shard.name, subject=stage.log._subject)
    assert await append(fence, pin("y")) is None, "it has to decide again, on what is left"
    assert await append(fence, pin("y")) is not None


async def test_who_takes_over_knows_what_the_log_says(stage: Stage) -> None:
    first = await stage.core()
    await append(first, pin("x"))
    await append(first, changes.delete("z"))
    await append(first, changes.end())
    second = await stage.core()
    assert second.ledger.last_seq == first.ledger.last_seq
    assert second.ledger.stream == first.ledger.stream
    assert second.ledger.is_deleted("z")
    assert second.ledger.has_ended


async def test_a_stream_that_was_long_silent_is_known_by_its_last_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await stage.core()
    await append(first, pin("x"))
    await append(first, changes.end())
    # As if all of it were older than what is read back.
    monkeypatch.setattr("core.fence._SKEW_MS", -86_400_000)
    second = await stage.core()
    assert second.ledger.last_seq == first.ledger.last_seq
    assert second.ledger.has_ended
