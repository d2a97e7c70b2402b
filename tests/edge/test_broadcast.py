"""The broadcast over real sockets: same bytes, same order, and nobody waits for anybody."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from edge.broadcast import Broadcast, Section

pytestmark = pytest.mark.anyio
BACKLOG = 64 * 1024


class Peer:
    """The far end of a viewer's connection."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.socket = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        listener.close()
        # Small buffers, so that a reader that stalls is noticed soon.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)
        accepted.setblocking(False)
        self.socket.setblocking(False)
        self.fd = accepted.detach()

    async def read(self, size: int) -> bytes:
        data = b""
        with trio.fail_after(5):
            while len(data) < size:
                await trio.lowlevel.wait_readable(self.socket)
                part = self.socket.recv(size - len(data))
                if not part:
                    break
                data += part
        return data

    async def read_to_end(self) -> bytes:
        return await self.read(1 << 30)


@asynccontextmanager
async def broadcasting(heartbeat_s: float = 15) -> AsyncIterator[tuple[Broadcast, Section]]:
    broadcast = Broadcast(BACKLOG, heartbeat_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broadcast.run)
        nursery.start_soon(broadcast.watch)
        await trio.testing.wait_all_tasks_blocked()
        yield broadcast, Section(broadcast, b"*")
        nursery.cancel_scope.cancel()


@pytest.fixture
def peers() -> "PeerMaker":
    return PeerMaker()


class PeerMaker:
    def __call__(self, count: int) -> list[Peer]:
        return [Peer() for _ in range(count)]


async def gone(broadcast: Broadcast, left: int) -> None:
    with trio.fail_after(5):
        while len(broadcast) != left:
            await trio.lowlevel.checkpoint()


async def test_everyone_gets_its_own_beginning_and_then_the_same_in_order(peers: PeerMaker) -> None:
    async with broadcasting() as (_, section):
        viewers = peers(600)
        for number, viewer in enumerate(viewers):
            section.seat(viewer.fd, b"%03d;" % number)
        for window in (b"one;", b"two;", b"three;"):
            section.push(window)
        for number, viewer in enumerate(viewers):
            assert await viewer.read(18) == b"%03d;one;two;three;" % number
            viewer.socket.close()


async def test_one_that_comes_while_a_round_is_due_gets_what_it_has_not_seen(peers: PeerMaker) -> None:
    async with broadcasting() as (_, section):
        early, late = peers(2)
        section.seat(early.fd, b"E")
        section.push(b"1")
        # The late one's beginning holds window 1 already.
        section.seat(late.fd, b"L1")
        section.push(b"2")
        assert await early.read(3) == b"E12"
        assert await late.read(3) == b"L12"
        section.push(b"3")
        assert await early.read(1) + await late.read(1) == b"33"
        early.socket.close()
        late.socket.close()


async def test_one_that_comes_in_the_middle_of_a_round_enters_after_it(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        viewers = peers(600)
        for viewer in viewers:
            section.seat(viewer.fd, b"")
        section.push(b"1")
        with trio.fail_after(5):
            while not broadcast.is_writing(section):
                await trio.lowlevel.checkpoint()
        (late,) = peers(1)
        section.seat(late.fd, b"L1")
        section.push(b"2")
        assert await late.read(3) == b"L12"
        for viewer in viewers:
            assert await viewer.read(2) == b"12"
            viewer.socket.close()
        late.socket.close()


async def test_a_stalled_viewer_delays_nobody_and_is_closed_when_too_much_waits(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        stalled, reader = peers(2)
        section.seat(stalled.fd, b"")
        section.seat(reader.fd, b"")
        window = b"x" * 10_000
        for _ in range(200):
            section.push(window)
            assert await reader.read(len(window)) == window
            if len(broadcast) == 1:
                break
        await gone(broadcast, 1)
        whole = await stalled.read_to_end()
        assert len(whole) < 200 * len(window), "it was cut while most still waited"
        section.push(b"end")
        assert await reader.read(3) == b"end"
        stalled.socket.close()
        reader.socket.close()


async def test_a_viewer_that_was_behind_catches_up_without_a_loss_or_a_double(peers: PeerMaker) -> None:
    async with broadcasting() as (_, section):
        (viewer,) = peers(1)
        viewer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        section.seat(viewer.fd, b"")
        # More than the sockets hold, less than the bound.
        windows = [b"%06d" % number * 1_000 for number in range(8)]
        for window in windows:
            section.push(window)
            await trio.testing.wait_all_tasks_blocked()
        expected = b"".join(windows)
        assert await viewer.read(len(expected)) == expected
        section.push(b"after")
        assert await viewer.read(5) == b"after"
        viewer.socket.close()


async def test_a_viewer_that_leaves_is_noticed_and_its_number_serves_another(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        first, second = peers(2)
        section.seat(first.fd, b"")
        section.seat(second.fd, b"")
        first.socket.close()
        await gone(broadcast, 1)
        (third,) = peers(1)
        section.seat(third.fd, b"")
        section.push(b"x")
        assert await second.read(1) + await third.read(1) == b"xx"
        assert len(broadcast) == 2
        second.socket.close()
        third.socket.close()


async def test_the_end_comes_after_all_that_was_pushed(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        viewers = peers(3)
        for viewer in viewers:
            section.seat(viewer.fd, b"a")
        section.push(b"b")
        section.end(b"bye")
        for viewer in viewers:
            assert await viewer.read_to_end() == b"abbye"
            viewer.socket.close()
        await gone(broadcast, 0)


async def test_a_part_can_be_sent_away(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        viewers = peers(4)
        for viewer in viewers:
            section.seat(viewer.fd, b"")
        section.dismiss(2, b"bye")
        await gone(broadcast, 2)
        section.dismiss(1, b"bye")
        await gone(broadcast, 0)
        for viewer in viewers:
            assert await viewer.read_to_end() == b"bye"
            viewer.socket.close()


async def test_a_silent_feed_shows_life(peers: PeerMaker) -> None:
    async with broadcasting(heartbeat_s=0.5) as (_, section):
        (viewer,) = peers(1)
        section.seat(viewer.fd, b"")
        assert await viewer.read(1) == b"*"
        viewer.socket.close()


async def test_nothing_stays_open_when_the_edge_ends(peers: PeerMaker) -> None:
    (viewer,) = peers(1)
    async with broadcasting() as (_, section):
        section.seat(viewer.fd, b"last")
    assert await viewer.read_to_end() == b"last"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(viewer.fd)
    viewer.socket.close()
