"""A viewer that comes back gets exactly what it missed, or is told that it begins afresh: never a part."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import nats
import pytest

from tests.grpc_web import GrpcWebViewer
from tests.polls import PollViewer
from tests.processes import Service, eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer, watch

WAYS = {"sse": Viewer, "websocket": SocketViewer, "grpc-web": GrpcWebViewer, "poll": PollViewer}


@dataclass(frozen=True)
class House:
    """A system whose log may be trimmed, with three edges: its own, a strict one, and one with a fanout of its own."""

    system: System
    strict: Service
    fanout: Service
    apart: Service

    def trim(self) -> None:
        """Purges the log, up to its last message but one."""

        async def purge() -> None:
            client = await nats.connect(self.system.nats.url)
            log = client.jetstream()
            last = (await log.stream_info("COMMENTS_0")).state.last_seq
            await log.purge_stream("COMMENTS_0", seq=last)
            await client.close()

        asyncio.run(purge())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    small = {"edge_resume_max_events": "5", "edge_resume_max_bytes": "2048"}
    with (
        System(tmp_path_factory.mktemp("house"), **limits) as system,
        system.service("edge", "-strict", **small) as strict,
        system.service("fanout", "-apart") as fanout,
        system.service("edge", "-apart", fanout_urls=fanout.address, edge_max_comments_per_second="0") as apart,
    ):
        for edge in (strict, apart):
            url = f"http://{edge.address}/readyz"
            eventually(lambda url=url: system.client.get(url).status_code == 200, "the edge is ready")  # type: ignore[misc]
        yield House(system, strict, fanout, apart)


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> type[Viewer]:
    return WAYS[request.param]


def post(house: House, stream: str, *texts: str) -> list[str]:
    """Posts one after the other; the cursors of all."""
    return [house.system.post(stream, text)["cursor"] for text in texts]


def comes_back(way: type[Viewer], edge: Service, stream: str, cursor: str) -> Viewer:
    """A viewer that was somewhere else before, and has been given its beginning here."""
    viewer = way(f"http://{edge.address}", stream, cursor=cursor)
    viewer.until(lambda v: v.events or v.status not in (0, 101, 200), "the beginning")
    return viewer


def has_recovered(viewer: Viewer) -> bool:
    # Who polls and has missed nothing is told nothing.
    first = viewer.events[0]
    return first.name != "snapshot" or first.data["recovered"]


def goes_on(house: House, viewer: Viewer, texts: list[str]) -> None:
    """It has seen these texts, and sees what comes now, all of it once."""
    post(house, viewer.stream_id, "live")
    viewer.until(lambda v: "live" in v.texts(), "what is posted now")
    assert viewer.texts() == [*texts, "live"]


def test_a_cursor_behind_this_edges_memory_brings_exactly_what_was_missed(house: House, way: type[Viewer]) -> None:
    stream = house.system.create_stream()
    cursors = post(house, stream, "a", "b", "c", "d")
    # Nobody has watched it here: the edge remembers nothing of it.
    with comes_back(way, house.system.edge, stream, cursors[1]) as viewer:
        viewer.until(lambda v: len(v.texts()) == 2, "what was missed")
        assert has_recovered(viewer)
        goes_on(house, viewer, ["c", "d"])


def test_all_who_come_back_from_the_same_place_cost_one_read(house: House) -> None:
    stream, edge = house.system.create_stream(), house.system.edge
    cursors = post(house, stream, "a", "b", "c")
    before = edge.metric('livecomments_edge_backfills_total{outcome="served"}')
    ways = [Viewer, SocketViewer, GrpcWebViewer, Viewer, SocketViewer] * 10
    viewers = [way(f"http://{edge.address}", stream, cursor=cursors[0]) for way in ways]
    try:
        watch(viewers, lambda: all(viewer.texts() == ["b", "c"] for viewer in viewers), "all have what they missed")
        assert all(map(has_recovered, viewers))
        assert edge.metric('livecomments_edge_backfills_total{outcome="served"}') == before + 1
    finally:
        for viewer in viewers:
            viewer.disconnect()


def test_a_cursor_that_the_log_has_never_come_to_brings_a_fresh_snapshot(house: House, way: type[Viewer]) -> None:
    stream = house.system.create_stream()
    (cursor,) = post(house, stream, "a")
    epoch = cursor.split("-")[0]
    viewers = [way(f"http://{house.system.edge.address}", stream, cursor=f"{epoch}-{n}") for n in (2**64 - 1, 10**6)]
    for viewer in viewers:
        with viewer:
            viewer.until(lambda v: v.events, "the beginning")
            assert not has_recovered(viewer)
            assert viewer.cursor == cursor
            assert viewer.texts() == ["a"]
    with comes_back(way, house.system.edge, stream, f"{epoch}-{10**6}") as viewer:
        goes_on(house, viewer, ["a"])


def test_a_cursor_that_another_stream_has_come_to_is_good_and_nothing_is_doubled(
    house: House, way: type[Viewer]
) -> None:
    stream, other = house.system.create_stream(), house.system.create_stream()
    post(house, stream, "a")
    (cursor,) = post(house, other, "elsewhere")
    viewer = way(f"http://{house.system.edge.address}", stream, cursor=cursor)
    with viewer:
        goes_on(house, viewer, [])
        assert has_recovered(viewer)


def test_a_cursor_ahead_of_this_edge_is_held_back_until_the_edge_has_come_to_it(
    house: House, way: type[Viewer]
) -> None:
    stream = house.system.create_stream()
    post(house, stream, "a")
    with comes_back(Viewer, house.apart, stream, "") as known:
        assert known.texts() == ["a"]
        house.fanout.signal(signal.SIGSTOP)
        try:
            cursor = post(house, stream, "b", "c")[-1]
            viewer = way(f"http://{house.apart.address}", stream, cursor=cursor)
            polling = threading.Thread(target=viewer.poll, args=(10,)) if isinstance(viewer, PollViewer) else None
            if polling is not None:
                polling.start()
            else:
                with pytest.raises(AssertionError, match="not within"):
                    viewer.until(lambda v: v.events, "something", timeout_s=0.2)
        finally:
            house.fanout.signal(signal.SIGCONT)
        with viewer:
            post(house, stream, "d")
            if polling is not None:
                polling.join(15)
            viewer.until(lambda v: "d" in v.texts(), "what came after the cursor")
            assert has_recovered(viewer)
            assert viewer.texts() == ["d"]
        known.until(lambda v: v.texts() == ["a", "b", "c", "d"], "everything")


def test_a_cursor_of_another_life_of_the_log_brings_a_fresh_snapshot(house: House, way: type[Viewer]) -> None:
    stream = house.system.create_stream()
    (cursor,) = post(house, stream, "a")
    with comes_back(way, house.system.edge, stream, f"0ld-{cursor.split('-')[1]}") as viewer:
        assert not has_recovered(viewer)
        assert viewer.texts() == ["a"]
        goes_on(house, viewer, ["a"])


def test_a_cursor_that_the_log_was_trimmed_behind_brings_a_fresh_snapshot(house: House, way: type[Viewer]) -> None:
    stream = house.system.create_stream()
    cursors = post(house, stream, "a", "b", "c")
    house.system.stored(stream, lambda comments: len(comments) == 3)
    house.trim()
    with comes_back(way, house.system.edge, stream, cursors[0]) as viewer:
        assert not has_recovered(viewer), "b is gone from the log, so c alone would be a part"
        assert viewer.texts() == ["a", "b", "c"]
        goes_on(house, viewer, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("way", "is_remembered"),
    # What memory holds a poll takes step by step, so that there is no bound for it.
    [(Viewer, True), (Viewer, False), (SocketViewer, True), (GrpcWebViewer, False), (PollViewer, False)],
)
@pytest.mark.parametrize(("texts", "fits"), [(["x"] * 5, True), (["x"] * 6, False), (["y" * 480] * 5, False)])
def test_more_than_a_resume_may_bring_is_never_brought_in_part(
    house: House, way: type[Viewer], texts: list[str], *, fits: bool, is_remembered: bool
) -> None:
    if way is PollViewer:
        # Bytes are not counted for polls, either.
        fits = len(texts) <= 5
    stream = house.system.create_stream()
    (cursor,) = post(house, stream, "seen")
    with comes_back(Viewer, house.strict if is_remembered else house.apart, stream, "") as known:
        post(house, stream, *texts)
        known.until(lambda v: len(v.texts()) == 1 + len(texts), "all of it")
        with comes_back(way, house.strict, stream, cursor) as viewer:
            assert has_recovered(viewer) is fits
            expected = texts if fits else ["seen", *texts]
            viewer.until(lambda v: len(v.texts()) >= len(expected), "the beginning")
            goes_on(house, viewer, expected)


@pytest.mark.parametrize("way", [Viewer, SocketViewer, GrpcWebViewer])
def test_a_viewer_that_stops_reading_is_cut_delays_nobody_and_misses_nothing(house: House, way: type[Viewer]) -> None:
    stream = house.system.create_stream()
    edge = house.apart
    before = edge.metric("livecomments_edge_viewers_behind_total")
    posted: list[str] = []
    with comes_back(way, edge, stream, "") as frozen, comes_back(Viewer, edge, stream, "") as healthy:
        with socket.socket(fileno=os.dup(frozen.fileno())) as narrow:
            # So that little waits in the kernel, and not what a fast connection may hold.
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while edge.metric("livecomments_edge_viewers_behind_total") == before:
            assert len(posted) < 400, "256 KiB wait for it at most, and some more in the kernel"
            for _ in range(20):
                posted.append(f"{len(posted)} " + "\N{FACE WITH TEARS OF JOY}" * 490)
                post(house, stream, posted[-1])
            healthy.until(lambda v: len(v.texts()) == len(posted), "it is not delayed", timeout_s=5)
        frozen.until(lambda v: v.closed, "the end of what it was given")
        shown = frozen.texts()
        assert shown == posted[: len(shown)]
        assert len(shown) < len(posted)
        frozen.connect()
        frozen.until(lambda v: len(v.texts()) >= len(posted), "the rest")
        assert frozen.texts() == posted
        assert [event.data["recovered"] for event in frozen.events if event.name == "snapshot"] == [False, True]


@pytest.mark.parametrize("way", [Viewer, SocketViewer, PollViewer])
@pytest.mark.parametrize("cursor", ["nonsense", "ab", "ab-", "-1", "ab--1", "ab-1-2", "AB-1", "ab-01", f"ab-{2**64}"])
def test_what_is_no_cursor_is_refused(house: House, way: type[Viewer], cursor: str) -> None:
    stream = house.system.create_stream()
    with way(f"http://{house.system.edge.address}", stream, cursor=cursor) as viewer:
        viewer.until(lambda v: b"reason" in v.body, "the refusal")
        assert viewer.status == 400
        assert b'"BAD_CURSOR"' in viewer.body


def test_viewers_are_told_while_the_feed_is_cut_off(house: House) -> None:
    stream = house.system.create_stream()
    with ExitStack() as watching:
        viewers = [
            watching.enter_context(comes_back(way, house.apart, stream, ""))
            for way in (Viewer, SocketViewer, GrpcWebViewer)
        ]
        assert not viewers[0].events[0].data["degraded"]
        house.fanout.kill()
        try:
            for viewer in viewers:
                viewer.until(lambda v: v.events[-1].name == "degraded", "they are told")
                assert viewer.events[-1].data == {"degraded": True}
            with comes_back(Viewer, house.apart, stream, "") as late:
                assert late.events[0].data["degraded"]
            post(house, stream, "meanwhile")
        finally:
            house.fanout.start()
        for viewer in viewers:
            viewer.until(lambda v: v.texts() == ["meanwhile"], "what came meanwhile")
            told = [event.data["degraded"] for event in viewer.events if event.name == "degraded"]
            assert told == [True, False]
        with comes_back(Viewer, house.apart, stream, "") as later:
            assert not later.events[0].data["degraded"]
