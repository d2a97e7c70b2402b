"""A private stream is private on every way in, and from the moment at which it becomes so."""

from collections.abc import Callable
from typing import Any

import pytest

from livecomments.errors import Reason
from tests.grpc_web import GrpcWebViewer
from tests.session_viewers import SessionViewer
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer, follow, watch
from tests.ways import READ, WRITE, answered

VISITORS: dict[str, Callable[[System, str], str]] = {
    "nobody": lambda _system, _stream: "",
    "a viewer": lambda system, _stream: system.token("eve"),
    "a viewer of another stream": lambda system, stream: system.token("eve", streams=(stream + "-2", stream[:-1])),
    "a host of others": lambda system, _stream: system.token("eve", role="host"),
    "a moderator of others": lambda system, _stream: system.token("eve", role="moderator", streams=("other",)),
}
MEMBERS: dict[str, Callable[[System, str], str]] = {
    "a viewer who is named": lambda system, stream: system.token("ann", streams=("other", stream)),
    "its moderator": lambda system, stream: system.token("mod", role="moderator", streams=(stream,)),
    "its host": lambda system, _stream: system.token("host", role="host"),
}


@pytest.fixture(scope="module")
def private(system: System) -> str:
    """A private stream with something in it."""
    stream = system.create_stream(visibility="private")
    system.post(stream, "secret", token=system.token("host", role="host"))
    return stream


@pytest.mark.parametrize("way", [*READ, *WRITE])
def test_a_private_stream_is_private(system: System, private: str, way: str) -> None:
    knock = {**READ, **WRITE}[way]
    told = {who: knock(system, private, token(system, private)) for who, token in VISITORS.items()}
    expected = dict.fromkeys(VISITORS, Reason.FORBIDDEN) | {"nobody": Reason.UNAUTHENTICATED}
    assert told == expected
    assert {who: knock(system, private, token(system, private)) for who, token in MEMBERS.items()} == dict.fromkeys(
        MEMBERS
    )


@pytest.mark.parametrize("way", [*READ, *WRITE])
def test_a_bad_token_is_worse_than_none(system: System, way: str) -> None:
    stream, knock = system.create_stream(), {**READ, **WRITE}[way]
    if way in READ:
        assert knock(system, stream, "") is None
    bad = (system.token("ann", ttl_s=-60), system.token("ann") + "x", "x.y.z")
    if way == "a stream added to events":
        return  # nobody can open the events that it is added to
    assert [knock(system, stream, token) for token in bad] == [Reason.UNAUTHENTICATED] * len(bad)


def test_a_private_stream_is_not_in_the_list_of_those_who_may_not_watch_it(system: System, private: str) -> None:
    def is_listed(token: str) -> bool:
        page = system.request("GET", "/v1/streams?limit=500", token=token)
        assert page.status_code == 200
        return any(stream["stream_id"] == private for stream in page.json()["streams"])

    assert not any(is_listed(token(system, private)) for token in VISITORS.values())
    assert all(is_listed(token(system, private)) for token in MEMBERS.values())


# -- a stream that becomes private --

LIVE: dict[str, Callable[..., Viewer]] = {
    "subscribe": Viewer,
    "WebSocket": SocketViewer,
    "gRPC-web": GrpcWebViewer,
    "events": lambda url, stream, **how: SessionViewer(url, [stream], **how),
}


def texts(viewer: Viewer, stream: str) -> list[str]:
    return viewer.shown(stream) if isinstance(viewer, SessionViewer) else viewer.texts()


def become_private(system: System, stream: str) -> None:
    changed = system.request(
        "PATCH", f"/v1/streams/{stream}", {"visibility": "private"}, token=system.token("host", role="host")
    )
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize("way", LIVE)
def test_a_stream_that_becomes_private_is_shown_on_to_its_members_alone(system: System, way: str) -> None:
    stream = system.create_stream()
    ann = system.token("ann", streams=(stream,))

    def enter(**how: Any) -> Viewer:
        return LIVE[way](system.url, stream, **how)

    with enter() as nobody, enter(token=system.token("eve")) as eve, enter(token=ann) as member:
        everyone = [nobody, eve, member]
        watch(everyone, lambda: all(viewer.events for viewer in everyone), "all have their snapshot")
        system.post(stream, "for all")
        watch(everyone, lambda: all("for all" in texts(viewer, stream) for viewer in everyone), "what is for all")
        become_private(system, stream)
        system.post(stream, "secret", token=ann)
        watch([nobody, eve], lambda: nobody.closed and eve.closed, "who may not watch any more is sent away")
        follow([member], lambda: "secret" in texts(member, stream), "who may goes on")
        assert texts(member, stream) == ["for all", "secret"]
        assert [texts(viewer, stream) for viewer in (nobody, eve)] == [["for all"]] * 2
        for viewer, reason in ((nobody, Reason.UNAUTHENTICATED), (eve, Reason.FORBIDDEN)):
            viewer.events.clear()
            viewer.connect()
            assert answered(viewer) is reason


def test_a_poll_that_waits_is_told_nothing_of_a_stream_that_becomes_private(system: System) -> None:
    stream = system.create_stream()
    path = f"/v1/streams/{stream}/comments"
    cursor = system.request("GET", f"{path}?since=&wait=0").json()["cursor"]
    with Viewer(system.url, stream) as waiting:
        # A poll in a viewer's clothes: it waits on a connection of its own.
        waiting.path = f"{path}?since={cursor}&wait=30"
        waiting.connect()
        become_private(system, stream)
        assert answered(waiting) is Reason.UNAUTHENTICATED
