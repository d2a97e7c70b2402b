"""Backfill: what stands in the log after a cursor, all of it or nothing."""

import asyncio
from pathlib import Path

import grpc
import pytest

from fanout.reader import LogReader
from livecomments.errors import Reason, Refusal
from livecomments.settings import Settings
from tests.fanout.parts import backfill, fanout_settings, open_source, served

pytestmark = pytest.mark.anyio


async def refusal(address: str, data_dir: Path, stream_id: str, cursor: str, max_comments: int) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await backfill(address, data_dir, stream_id, cursor, max_comments)
    return Refusal.from_rpc_error(refused.value).reason


async def test_it_gives_every_message_after_the_cursor_in_order(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        await source.make_stream("b")
        seqs = []
        for number in range(10):
            seqs.append(await source.post("a", f"{number}"))
            await source.post("b", "of another stream")
        for cursor in range(seqs[-1] + 2):
            whole = await backfill(address, data_dir, "a", source.cursor(cursor), 100)
            assert [message.seq for message in whole.messages] == [seq for seq in seqs if seq > cursor]
        assert not whole.messages
        assert all(not event.posted.request_digest for message in whole.messages for event in message.events.events)


async def test_it_gives_much_in_chunks(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        acks = await asyncio.gather(*(source.post("a", *["x" * 500] * 8) for _ in range(600)))
        whole = await backfill(address, data_dir, "a", source.cursor(0), 10_000)
        assert [message.seq for message in whole.messages] == sorted(acks)


async def test_above_its_limit_it_gives_nothing(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        for _ in range(4):
            await source.post("a", "one", "two", "three")
        assert await refusal(address, data_dir, "a", source.cursor(0), 11) is Reason.BODY_TOO_LARGE
        assert len((await backfill(address, data_dir, "a", source.cursor(0), 12)).messages) == 4


async def test_a_cursor_that_the_log_does_not_reach_back_to_is_refused(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        seqs = await source.post_each("a", ["one", "two", "three", "four"])
        await source.js.purge_stream(source.shard.name, seq=seqs[2])
        # Everything after the second is still there.
        whole = await backfill(address, data_dir, "a", source.cursor(seqs[1]), 10)
        assert [message.seq for message in whole.messages] == seqs[2:]
        assert await refusal(address, data_dir, "a", source.cursor(seqs[0]), 10) is Reason.BAD_CURSOR


async def test_what_is_trimmed_during_the_read_counts(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        seqs = await source.post_each("a", ["one", "two", "three"])
        read = LogReader.after

        async def trimmed_meanwhile(self: LogReader, *args: object) -> object:
            page = await read(self, *args)  # type: ignore[arg-type]
            await source.js.purge_stream(source.shard.name, seq=seqs[2])
            return page

        monkeypatch.setattr(LogReader, "after", trimmed_meanwhile)
        assert await refusal(address, data_dir, "a", source.cursor(0), 10) is Reason.BAD_CURSOR


async def test_cursors_of_another_life_and_bad_arguments_are_refused(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        good = source.cursor(0)
        for stream_id, cursor, max_comments, expected in (
            ("a", "0ld-1", 10, Reason.BAD_CURSOR),
            ("a", source.cursor(1_000_000), 10, Reason.BAD_CURSOR),
            ("a", "not a cursor", 10, Reason.BAD_CURSOR),
            ("a", "", 10, Reason.BAD_CURSOR),
            ("a", good, 0, Reason.INVALID_FIELD),
            ("*", good, 10, Reason.INVALID_FIELD),
            ("nobody", good, 10, Reason.STREAM_NOT_FOUND),
        ):
            assert await refusal(address, data_dir, stream_id, cursor, max_comments) is expected


async def test_a_place_in_the_log_where_another_stream_stands_is_a_good_one(settings: Settings, data_dir: Path) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        await source.make_stream("b")
        await source.post_each("a", ["one"])
        (other,) = await source.post_each("b", ["two"])
        assert not (await backfill(address, data_dir, "a", source.cursor(other), 10)).messages
        later = await source.post_each("a", ["three"])
        found = await backfill(address, data_dir, "a", source.cursor(other), 10)
        assert [message.seq for message in found.messages] == later


async def test_those_who_want_the_same_at_once_share_one_read(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_source(settings) as source, served(fanout_settings(settings)) as address:
        await source.make_stream("a")
        seqs = await source.post_each("a", ["one", "two"])
        read, reads, everyone_is_here = LogReader.after, 0, asyncio.Event()

        async def counted(self: LogReader, *args: object) -> object:
            nonlocal reads
            reads += 1
            await everyone_is_here.wait()
            return await read(self, *args)  # type: ignore[arg-type]

        last, asked = LogReader.last, 0

        async def asking(self: LogReader, *args: object) -> object:
            nonlocal asked
            found = await last(self, *args)  # type: ignore[arg-type]
            asked += 1
            if asked == 5:
                asyncio.get_running_loop().call_soon(everyone_is_here.set)
            return found

        monkeypatch.setattr(LogReader, "after", counted)
        monkeypatch.setattr(LogReader, "last", asking)
        answers = await asyncio.gather(*(backfill(address, data_dir, "a", source.cursor(0), 10) for _ in range(5)))
        assert [[message.seq for message in answer.messages] for answer in answers] == [seqs] * 5
        assert reads == 1
