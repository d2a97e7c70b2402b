"""Tickets for browsers' WebSockets and event sources: what they open, what they don't, and that no log has them."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from livecomments.errors import Reason
from tests.e2e.test_errors import refused
from tests.processes import eventually
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer, watch
from tests.ways import READ, answered

GIVEN: list[str] = []
"""All tickets of this module."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One that logs all it can."""
    with System(
        tmp_path_factory.mktemp("system"), core_user_rate="0", edge_address_rate="0", log_level="debug"
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def no_log_has_a_ticket(system: System) -> Iterator[None]:
    yield
    services = (system.edge, system.core, system.fanout, system.storage)
    logs = "".join(service.output.read_text() for service in services)
    assert '"event": "serving"' in logs
    assert not [ticket for ticket in GIVEN if ticket in logs or ticket[:40] in logs]
    assert "Traceback" not in logs


@pytest.fixture
def stream(system: System) -> str:
    return system.create_stream(visibility="private")


def ask(system: System, stream: str, *, token: str = "", **fields: Any) -> str:
    token = token or system.token("ann", streams=(stream,))
    given = system.request("POST", "/v1/tickets", {"stream_id": stream, **fields}, token=token)
    assert given.status_code == 201, given.text
    assert given.headers["cache-control"] == "no-store"
    GIVEN.append(given.json()["ticket"])
    return GIVEN[-1]


@pytest.mark.parametrize("reused", [False, True], ids=["door", "hypercorn"])
def test_a_ticket_opens_a_web_socket_which_posts_too(system: System, stream: str, reused: bool) -> None:
    query = f"ticket={ask(system, stream)}"
    with SocketViewer(system.url, stream, query=query, reused=reused) as viewer:
        viewer.until(lambda v: v.events, "the snapshot")
        viewer.post("by a ticket", "r")
        viewer.until(lambda v: v.texts(), "the comment")
        assert [comment["author_id"] for comment in viewer.comments()] == ["ann"]


@pytest.mark.parametrize("lines", [(), ("Content-Length: 0",)], ids=["door", "hypercorn"])
def test_a_ticket_opens_server_sent_events(system: System, stream: str, lines: tuple[str, ...]) -> None:
    ticket = ask(system, stream, purpose="subscribe")
    assert answered(Viewer(system.url, stream, query=f"?ticket={ticket}", lines=lines)) is None


def test_any_edge_of_the_installation_takes_a_ticket(system: System, stream: str) -> None:
    query = f"ticket={ask(system, stream)}"
    with system.service("edge", "-2") as edge:
        url = f"http://{edge.address}"
        eventually(lambda: system.client.get(f"{url}/readyz").status_code == 200, "it is ready")
        assert answered(SocketViewer(url, stream, query=query)) is None


def test_a_ticket_is_good_for_nothing_else(system: System, stream: str) -> None:
    other = system.create_stream(visibility="private")
    feed, subscribe = ask(system, stream), ask(system, stream, purpose="subscribe")
    # Another stream, another purpose, another kind of request.
    assert answered(SocketViewer(system.url, other, query=f"ticket={feed}")) is Reason.UNAUTHENTICATED
    assert answered(SocketViewer(system.url, stream, query=f"ticket={subscribe}")) is Reason.UNAUTHENTICATED
    assert answered(Viewer(system.url, stream, query=f"?ticket={feed}")) is Reason.UNAUTHENTICATED
    assert answered(Viewer(system.url, other, query=f"?ticket={subscribe}")) is Reason.UNAUTHENTICATED
    for path in (f"streams/{stream}/comments", f"streams/{stream}/comments/recent", f"events?stream={stream}"):
        mark = "&" if "?" in path else "?"
        refused(system.request("GET", f"/v1/{path}{mark}ticket={subscribe}"), Reason.INVALID_FIELD, "ticket")
    # In the place of a token.
    assert {way: knock(system, stream, feed) for way, knock in READ.items() if way != "a stream added to events"} == {
        way: Reason.UNAUTHENTICATED for way in READ if way != "a stream added to events"
    }
    refused(system.request("POST", "/v1/tickets", {"stream_id": stream}, token=feed), Reason.UNAUTHENTICATED)


def test_a_ticket_gives_no_more_than_its_token(system: System, stream: str) -> None:
    eve = ask(system, stream, token=system.token("eve"))
    assert answered(SocketViewer(system.url, stream, query=f"ticket={eve}")) is Reason.FORBIDDEN
    host = ask(system, stream, token=system.token("host", role="host"), purpose="subscribe")
    assert answered(Viewer(system.url, stream, query=f"?all=1&ticket={host}")) is None
    ann = ask(system, stream, purpose="subscribe")
    assert answered(Viewer(system.url, stream, query=f"?all=1&ticket={ann}")) is Reason.FORBIDDEN


def test_a_header_wins_over_a_ticket(system: System, stream: str) -> None:
    eve, ann = ask(system, stream, token=system.token("eve")), system.token("ann", streams=(stream,))
    assert answered(SocketViewer(system.url, stream, token=ann, query=f"ticket={eve}")) is None


def test_a_connection_ends_with_the_token_that_its_ticket_was_given_for(system: System, stream: str) -> None:
    token = system.token("ann", streams=(stream,), ttl_s=3)
    feed, subscribe = ask(system, stream, token=token), ask(system, stream, token=token, purpose="subscribe")
    with (
        SocketViewer(system.url, stream, query=f"ticket={feed}") as at_door,
        SocketViewer(system.url, stream, query=f"ticket={feed}", reused=True) as at_hypercorn,
        Viewer(system.url, stream, query=f"?ticket={subscribe}") as by_sse,
    ):
        everyone = [at_door, at_hypercorn, by_sse]
        watch(everyone, lambda: all(viewer.events for viewer in everyone), "the snapshots")
        watch(everyone, lambda: all(viewer.closed for viewer in everyone), "the token has ended")
        assert at_door.close == at_hypercorn.close == (1008, "the token has expired")
    assert answered(SocketViewer(system.url, stream, query=f"ticket={feed}")) is Reason.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "stream_id"),
        ({"stream_id": "no spaces"}, "stream_id"),
        ({"stream_id": "a", "purpose": "post"}, "purpose"),
        ({"stream_id": "a", "ttl": 5}, "ttl"),
    ],
)
def test_a_bad_wish_for_a_ticket_is_named_by_its_field(system: System, body: dict[str, str], field: str) -> None:
    refused(system.request("POST", "/v1/tickets", body, token=system.token("ann")), Reason.INVALID_FIELD, field)


def test_nobody_gets_no_ticket(system: System, stream: str) -> None:
    refused(system.request("POST", "/v1/tickets", {"stream_id": stream}), Reason.UNAUTHENTICATED)


def test_what_goes_wrong_with_a_ticket_in_the_address_is_logged_without_it(system: System, stream: str) -> None:
    ticket = ask(system, stream)
    host, port = urlsplit(system.url).netloc.split(":")
    feed = f"/v1/streams/{stream}/feed?ticket={ticket}"
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"
    for request in (
        f"GET {feed} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {feed} HTTP/9.9\r\nHost: x\r\n\r\n",
        f"GET {feed} HTTP/1.1\r\nHost: x\r\nBad\x00: y\r\n\r\n",
        f"POST {feed} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        f"GET {feed}&x=1 HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n",
        f"GET {feed}&cursor=x HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n",
        f"GET {feed}&ticket=x HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n",
        f"GET {feed} HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n{upgrade}\r\n",
        f"GET /nowhere?ticket={ticket} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {feed} HTTP/1.1\r\nHost: x\r\n" + "X: " + "y" * 40_000 + "\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request.encode())
            answer = connection.recv(65536)
            assert ticket.encode() not in answer
