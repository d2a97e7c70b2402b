"""The broadcast over real sockets: same bytes, same order, and nobody waits for anybody."""

import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from edge.broadcast import Broadcast
from edge.expiry import Ending, Stay
from edge.hearing import Line
from edge.section import Farewells, Section

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


async def test_what_is_pushed_during_a_round_goes_together_in_the_next() -> None:
    async with broadcasting() as (broadcast, section):
        # A pair of packet sockets: what was written at once is read at once.
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(600)]
        for ours, _ in pairs:
            ours.setblocking(False)
            section.seat(ours.detach(), b"")
        section.push(b"1")
        with trio.fail_after(5):
            while not broadcast.is_writing(section):
                await trio.lowlevel.checkpoint()
        for window in (b"2", b"3", b"4"):
            section.push(window)
        await trio.testing.wait_all_tasks_blocked()
        for _, theirs in pairs:
            assert theirs.recv(100) == b"1"
            assert theirs.recv(100) == b"234"
            theirs.close()
        await gone(broadcast, 0)


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


async def test_those_that_are_behind_or_entering_are_sent_away_too(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        frozen, late, reader = peers(3)
        section.seat(frozen.fd, b"x" * 200_000)
        assert frozen.fd in section.behind
        section.push(b"window")
        section.seat(late.fd, b"window")
        section.seat(reader.fd, b"window")
        section.dismiss(1, b"bye")
        assert await late.read_to_end() == await reader.read_to_end() == b"windowbye"
        # What it was given waits for it no longer than its last bytes may take.
        await gone(broadcast, 0)
        for viewer in (frozen, late, reader):
            viewer.socket.close()


async def test_each_is_sent_away_in_its_time(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, _):
        section = Section(broadcast, b"*", Farewells(aged=lambda: b"old", expired=b"expired"))
        old, expired, stays, left = peers(4)
        now = trio.current_time()
        section.seat(old.fd, b"", stay=Stay(now, Ending.AGE))
        section.seat(expired.fd, b"", stay=Stay(now, Ending.TOKEN))
        section.seat(stays.fd, b"")
        section.seat(left.fd, b"", stay=Stay(now + 3600, Ending.AGE))
        left.socket.close()
        assert await old.read_to_end() == b"old"
        assert await expired.read_to_end() == b"expired"
        await gone(broadcast, 1)
        section.push(b"still here")
        assert await stays.read(10) == b"still here"
        assert len(broadcast.__dict__["_seats"].__dict__["_departures"]) == 0
        for viewer in (old, expired, stays):
            viewer.socket.close()


async def test_one_that_the_kernel_can_not_watch_is_closed_and_disturbs_nobody(
    peers: PeerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broadcasting() as (broadcast, section):
        reader, unwatched = peers(2)
        section.seat(reader.fd, b"")
        seats = broadcast.__dict__["_seats"]
        epoll = seats.__dict__["_epoll"]

        class FullEpoll:
            def register(self, *_: object) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            def __getattr__(self, name: str) -> object:
                return getattr(epoll, name)

        with monkeypatch.context() as full:
            full.setattr(seats, "_epoll", FullEpoll())
            section.seat(unwatched.fd, b"never written")
        assert await unwatched.read_to_end() == b""
        assert len(broadcast) == len(section) == 1
        section.push(b"window")
        assert await reader.read(6) == b"window"
        reader.socket.close()
        unwatched.socket.close()


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


class Ear:
    """Hears, and says nothing."""

    def __init__(self) -> None:
        self.heard = b""

    def hear(self, line: Line, data: bytes) -> None:  # noqa: ARG002
        self.heard += data


class Echo:
    """Says back what it hears, in capitals; parts on a full stop."""

    def __init__(self) -> None:
        self.heard = b""
        self.lines: list[Line] = []

    def hear(self, line: Line, data: bytes) -> None:
        self.heard += data
        self.lines.append(line)
        if data.endswith(b"!"):
            raise ValueError(data)
        line.say(data.upper())
        if data.endswith(b"."):
            line.part(b"bye")


async def test_a_viewer_that_speaks_is_heard_and_answered(peers: PeerMaker) -> None:
    async with broadcasting() as (_, section):
        speaker, other = peers(2)
        section.seat(speaker.fd, b"first;", Echo())
        section.seat(other.fd, b"")
        for said in (b"one;", b"two;"):
            speaker.socket.sendall(said)
            expected = b"first;" + said.upper() if said == b"one;" else said.upper()
            assert await speaker.read(len(expected)) == expected
        section.push(b"window")
        assert await speaker.read(6) == await other.read(6) == b"window"
        assert speaker.socket.getpeername() is not None
        speaker.socket.close()
        other.socket.close()


async def test_what_was_sent_before_the_seat_is_heard_and_so_is_what_comes_with_the_end(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        (viewer,) = peers(1)
        ear = Ear()
        # More than is read in one turn.
        viewer.socket.sendall(b"x" * 100_000)
        section.seat(viewer.fd, b"", ear)
        with trio.fail_after(5):
            while len(ear.heard) < 100_000:
                await trio.lowlevel.checkpoint()
        viewer.socket.sendall(b"last")
        viewer.socket.shutdown(socket.SHUT_WR)
        await gone(broadcast, 0)
        assert ear.heard == b"x" * 100_000 + b"last"
        viewer.socket.close()


async def test_an_answer_and_a_window_never_tear_each_other_apart(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        *others, viewer = peers(600)
        echo = Echo()
        for other in others:
            section.seat(other.fd, b"")
        section.seat(viewer.fd, b"", echo)
        viewer.socket.sendall(b"a")
        assert await viewer.read(1) == b"A"
        (line,) = echo.lines
        for _ in range(10):
            section.push(b"window")
            with trio.fail_after(5):
                while not broadcast.is_writing(section):
                    await trio.lowlevel.checkpoint()
            # In the middle of the round, and more than the sockets hold.
            line.say(b"answer" * 10_000)
            data = await viewer.read(60_006)
            assert data in (b"window" + b"answer" * 10_000, b"answer" * 10_000 + b"window")
        for peer in (viewer, *others):
            peer.socket.close()


async def test_one_that_was_told_farewell_may_end_its_side_and_is_not_heard_any_more(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        (viewer,) = peers(1)
        echo = Echo()
        section.seat(viewer.fd, b"", echo)
        viewer.socket.sendall(b"so long.")
        assert await viewer.read_to_end() == b"SO LONG.bye"
        await gone(broadcast, 0)
        assert is_open(viewer.fd), "it waits for the viewer's own end"
        echo.lines[0].say(b"nobody hears this")
        viewer.socket.sendall(b"still here")
        viewer.socket.close()
        with trio.fail_after(5):
            while is_open(viewer.fd):
                await trio.lowlevel.checkpoint()
        assert echo.heard == b"so long."


async def test_one_that_does_not_end_its_side_is_closed_all_the_same(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        (viewer,) = peers(1)
        section.seat(viewer.fd, b"", Echo())
        section.dismiss(1, b"bye")
        assert await viewer.read_to_end() == b"bye"
        await gone(broadcast, 0)
        with trio.fail_after(10):
            while is_open(viewer.fd):  # noqa: ASYNC110 (nothing tells when a descriptor is closed)
                await trio.sleep(0.05)
        viewer.socket.close()


async def test_a_listener_that_fails_takes_its_own_viewer_alone(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        bad, good = peers(2)
        section.seat(bad.fd, b"", Echo())
        section.seat(good.fd, b"", Echo())
        bad.socket.sendall(b"!")
        await gone(broadcast, 1)
        good.socket.sendall(b"a")
        section.push(b"b")
        assert sorted(await good.read(2)) == sorted(b"Ab")
        bad.socket.close()
        good.socket.close()


async def test_a_line_leads_nowhere_once_its_number_serves_another(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        (first,) = peers(1)
        echo = Echo()
        section.seat(first.fd, b"", echo)
        first.socket.sendall(b"a")
        assert await first.read(1) == b"A"
        first.socket.close()
        await gone(broadcast, 0)
        (second,) = peers(1)
        assert second.fd == first.fd, "the lowest free number is given again"
        section.seat(second.fd, b"", Echo())
        echo.lines[0].say(b"not for you")
        echo.lines[0].part(b"nor this")
        section.push(b"x")
        assert await second.read(1) == b"x"
        second.socket.close()


async def test_what_a_viewer_begins_with_may_be_larger_than_what_may_wait(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, section):
        (viewer,) = peers(1)
        section.seat(viewer.fd, b"x" * 2_000_000)
        section.push(b"window")
        assert await viewer.read(2_000_006) == b"x" * 2_000_000 + b"window"
        assert len(broadcast) == 1
        viewer.socket.close()


async def test_one_that_is_cut_for_being_behind_is_told_so_where_that_can_be_told(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, _):
        section = Section(broadcast, b"*", Farewells(too_slow=b"too slow"))
        (viewer,) = peers(1)
        section.seat(viewer.fd, b"", Echo())
        for number in range(50):
            section.push(b"%06d" % number * 1_000)
            await trio.testing.wait_all_tasks_blocked()
        data = await viewer.read_to_end()
        assert data.endswith(b"too slow")
        whole, rest = divmod(len(data) - len(b"too slow"), 6_000)
        assert 0 < whole < 50
        assert rest == 0, "what it began to take was taken to its end"
        assert data == b"".join(b"%06d" % number * 1_000 for number in range(whole)) + b"too slow"
        viewer.socket.close()
        await gone(broadcast, 0)


async def test_one_that_does_not_even_take_that_is_cut_all_the_same(
    peers: PeerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.seats.GOODBYE_S", 0.1)
    async with broadcasting() as (broadcast, _):
        section = Section(broadcast, b"*", Farewells(too_slow=b"too slow"))
        (frozen,) = peers(1)
        frozen.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        section.seat(frozen.fd, b"")
        section.push(b"x" * 1_000_000)
        await trio.testing.wait_all_tasks_blocked()
        assert len(broadcast) == 1
        await gone(broadcast, 0)
        frozen.socket.close()


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_a_section_tells_when_its_last_viewer_has_gone(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, _):
        gone_at: list[int] = []
        section = Section(broadcast, b"*", emptied=lambda: gone_at.append(len(broadcast)))
        first, second = peers(2)
        section.seat(first.fd, b"")
        section.seat(second.fd, b"")
        first.socket.close()
        await gone(broadcast, 1)
        assert gone_at == []
        section.end(b"bye")
        assert await second.read_to_end() == b"bye"
        assert gone_at == [0]
        second.socket.close()


async def test_many_sections_of_one_viewer_leave_the_loop_to_others_in_between(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, _):
        viewers = peers(600)
        sections = [Section(broadcast, b"*") for _ in viewers]
        for section, viewer in zip(sections, viewers, strict=True):
            section.seat(viewer.fd, b"")
        for section in sections:
            section.push(b"own")
        seen_due = set()
        while any(section.is_due for section in sections):
            await trio.lowlevel.checkpoint()
            seen_due.add(sum(section.is_due for section in sections))
        assert any(0 < due < 600 for due in seen_due)
        for viewer in viewers:
            assert await viewer.read(3) == b"own"
            viewer.socket.close()


async def test_a_section_may_let_one_of_its_viewers_wait_for_more(peers: PeerMaker) -> None:
    async with broadcasting() as (broadcast, _):
        (viewer,) = peers(1)
        section = Section(broadcast, b"*")
        section.allowance = 1 << 22
        section.seat(viewer.fd, b"")
        section.push(b"x" * (1 << 22))
        section.push(b"last")
        assert (await viewer.read((1 << 22) + 4)).endswith(b"xlast")
        viewer.socket.close()
