"""What nats-server and the writer acknowledge was synced to disk before: seen in their system calls, under strace."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from livecomments.cursor import Cursor
from livecomments.local import make_secrets
from livecomments.log import connect
from livecomments.settings import Settings
from storage.pull import CONSUMER
from tests.conftest import ForgivingLoop
from tests.core.client import CoreClient, open_client
from tests.core.waiting import until
from tests.durability import nats_log, writer_log
from tests.durability.syscalls import Call
from tests.durability.tracing import TracedNatsServer, TracedService, require_strace
from tests.processes import Service

ALONE, TOGETHER = 10, 40
"""Comments that are posted one after the other, and at once: alone in their messages, and many in one."""


@dataclass(frozen=True)
class Traced:
    """What was posted and answered, and what the processes did meanwhile."""

    comments: dict[int, bytes]
    """A text of each message of the log, by sequence."""
    nats_server: list[Call]
    storage: list[Call]
    wal: str


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    require_strace()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    data_dir = tmp_path_factory.mktemp("traced")
    make_secrets(data_dir)

    async def post(core: Service) -> dict[int, bytes]:
        async with open_client(core, data_dir) as client:
            return await _post(client)

    with TracedNatsServer(data_dir) as nats_server:
        with TracedService("storage", data_dir, nats_url=nats_server.url) as storage:
            with Service("core", data_dir, nats_url=nats_server.url) as core, _runner() as runner:
                comments = runner.run(post(core))
            written = storage.trace.calls(storage)
        logged = nats_server.trace.calls(nats_server)
    return Traced(comments, logged, written, f"{data_dir.resolve()}/comments.db-wal")


def _runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=ForgivingLoop)


async def _post(client: CoreClient) -> dict[int, bytes]:
    """Posts while somebody watches, waits until all is stored; returns a text by sequence."""
    stream = (await client.create()).stream_id
    texts = [uuid.uuid4().hex for _ in range(ALONE + TOGETHER)]
    async with connect(client.settings, "looking") as nats:
        js = nats.jetstream()
        await nats.subscribe(f"live.*.{stream}")
        await nats.flush()
        answers = [await client.post(stream, text, by=client.host) for text in texts[:ALONE]]
        answers += await asyncio.gather(*(client.post(stream, text, by=client.host) for text in texts[ALONE:]))

        async def is_stored() -> bool:
            consumer = await js.consumer_info("COMMENTS_0", CONSUMER)
            return not consumer.num_pending and not consumer.num_ack_pending

        await until(is_stored, "storage has acknowledged all messages")
    return {Cursor.parse(answer.cursor).seq: text.encode() for answer, text in zip(answers, texts, strict=True)}


def test_each_message_was_on_disk_before_its_pub_ack(traced: Traced) -> None:
    acks = nats_log.pub_acks(traced.nats_server)
    assert {ack.seq for ack in acks if ack.stream == "COMMENTS_0"} == traced.comments.keys()
    assert len(traced.comments) > ALONE, "each message's PubAck was seen"
    assert {"COMMENTS_0", "KV_streams"} <= {ack.stream for ack in acks}
    assert nats_log.too_soon(traced.nats_server, acks) == []


def test_each_pub_ack_stands_for_the_message_of_its_sequence(traced: Traced) -> None:
    stored = {record.seq: record.body for record in nats_log.records(traced.nats_server, "/streams/COMMENTS_0/")}
    assert [seq for seq, text in traced.comments.items() if text not in stored[seq]] == []


def test_nobody_is_shown_a_comment_that_is_not_on_disk(traced: Traced) -> None:
    shown = nats_log.shown(traced.nats_server)
    assert {message.seq for message in shown} == traced.comments.keys()
    assert nats_log.too_soon(traced.nats_server, shown) == []


def test_each_row_was_on_disk_before_the_writer_acknowledged_its_message(traced: Traced) -> None:
    first = writer_log.consumer_acks(traced.storage)[0]
    folder = traced.wal.rpartition("/")[0]
    named = [call for call in traced.storage if call.is_sync and call.target == folder]
    assert any(call.end.precedes(first.begin) for call in named), "the folder, too: it names the file"
    assert writer_log.too_soon(traced.storage, traced.wal, traced.comments) == []


@pytest.fixture
def lazy_nats_server(data_dir: Path) -> Iterator[TracedNatsServer]:
    with TracedNatsServer(data_dir, sync_interval="2m") as server:
        yield server


@pytest.mark.anyio
async def test_nats_servers_default_is_caught_at_acknowledging_too_soon(
    lazy_nats_server: TracedNatsServer, data_dir: Path
) -> None:
    """The checks above can fail: with the interval that nats-server has by itself they do."""
    async with connect(Settings(nats_url=(lazy_nats_server.url,), data_dir=data_dir), "posting") as client:
        js = client.jetstream()
        await js.add_stream(name="LAZY", subjects=["lazy"])
        for _ in range(3):
            await js.publish("lazy", b"soon", 10)
    calls = await asyncio.to_thread(lazy_nats_server.trace.calls, lazy_nats_server)
    complaints = nats_log.too_soon(calls, nats_log.pub_acks(calls))
    assert len(complaints) == 3
    assert all("written, but not synced" in complaint for complaint in complaints)
