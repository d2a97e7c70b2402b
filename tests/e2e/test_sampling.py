"""More comments than one viewer can read: all who watch get the same sample, told how much it leaves out."""

from collections.abc import Callable, Iterator

import pytest

from tests.grpc_web import GrpcWebViewer
from tests.processes import Service
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer, watch

PER_SECOND = 5
COUNT = 60


@pytest.fixture(scope="module")
def narrow(system: System) -> Iterator[Service]:
    """One more edge, whose viewers can't read much."""
    with system.service("edge", "-narrow", edge_max_comments_per_second=str(PER_SECOND)) as edge:
        yield edge


def omitted(viewer: Viewer) -> int:
    return sum(event.data["count"] for event in viewer.events if event.name == "omitted")


def test_everyone_gets_the_same_sample_and_those_who_rule_may_have_all(system: System, narrow: Service) -> None:
    stream, url, host = system.create_stream(), f"http://{narrow.address}", system.token("host", role="host")
    moderator = system.token("mo", role="moderator", streams=(stream,))
    with (
        Viewer(url, stream) as by_sse,
        SocketViewer(url, stream) as by_socket,
        GrpcWebViewer(url, stream) as by_grpc,
        Viewer(url, stream, token=host) as host_without,
        Viewer(url, stream, token=host, query="?all=1") as host_with,
        SocketViewer(url, stream, token=moderator, query="all=1") as moderator_with,
        GrpcWebViewer(url, stream, token=moderator, everything=True) as grpc_with,
    ):
        sampled, whole = [by_sse, by_socket, by_grpc, host_without], [host_with, moderator_with, grpc_with]
        watch([*sampled, *whole], lambda: all(v.events for v in [*sampled, *whole]), "all have joined")
        posted = [system.post(stream, f"c{number}") for number in range(COUNT)]
        watch(whole, lambda: all(len(v.ids()) == COUNT for v in whole), "those who rule see everything")
        watch(sampled, lambda: all(len(v.ids()) + omitted(v) == COUNT for v in sampled), "all are told or counted")
        assert all(viewer.ids() == [answer["comment_id"] for answer in posted] for viewer in whole)
        assert omitted(by_sse) > 0
        assert not any(omitted(viewer) for viewer in whole)
        assert by_sse.ids() == by_socket.ids() == by_grpc.ids() == host_without.ids()
        polled = system.client.get(f"{url}/v1/streams/{stream}/comments?since={by_sse.events[0].id}&limit=1000").json()
        events = [event for event in polled["events"] if event["event"] == "new_comment"]
        assert [comment["comment_id"] for event in events for comment in event["data"]] == by_sse.ids()
        assert polled["events"][-1] == {"event": "omitted", "data": {"count": omitted(by_sse)}}
        # It comes back: the rest of the same sample.
        middle = next(event.id for event in by_sse.events if event.name == "new_comment")
        with Viewer(url, stream, cursor=middle) as back:
            back.until(lambda v: v.ids() == by_sse.ids()[-len(v.ids()) :] and omitted(v), "the rest")
            assert back.events[0].data["recovered"] is True
    system.stored(stream, lambda comments: len(comments) == COUNT)


def ask_sse(system: System, stream: str, query: str, token: str) -> tuple[int, str]:
    with Viewer(system.url, stream, token=token, query=f"?{query}") as viewer:
        viewer.until(lambda v: b"reason" in v.body, "the refusal")
        return viewer.status, viewer.body.decode()


def ask_socket(system: System, stream: str, query: str, token: str) -> tuple[int, str]:
    with SocketViewer(system.url, stream, token=token, query=query) as viewer:
        viewer.until(lambda v: b"reason" in v.body, "the refusal")
        return viewer.status, viewer.body.decode()


def ask_poll(system: System, stream: str, query: str, token: str) -> tuple[int, str]:
    answer = system.request("GET", f"/v1/streams/{stream}/comments?since=&{query}", token=token)
    return answer.status_code, answer.text


@pytest.mark.parametrize("ask", [ask_sse, ask_socket, ask_poll])
def test_all_of_a_feed_is_for_those_who_rule_the_stream(
    system: System, ask: Callable[[System, str, str, str], tuple[int, str]]
) -> None:
    stream = system.create_stream()
    with system.watch(stream):
        for token, status, reason in (
            (system.token("ann"), 403, "FORBIDDEN"),
            (system.token("another", role="host"), 403, "FORBIDDEN"),
            (system.token("mo", role="moderator", streams=("another",)), 403, "FORBIDDEN"),
            ("", 401, "UNAUTHENTICATED"),
        ):
            answer = ask(system, stream, "all=1", token)
            assert answer[0] == status
            assert f'"{reason}"' in answer[1]
            assert "all=1" in answer[1], "it says why"
        for bad in ("all=yes", "all=", "all=1&all=1"):
            answer = ask(system, stream, bad, system.token("host", role="host"))
            assert answer[0] == 400
            assert '"INVALID_FIELD"' in answer[1]
            assert "#/all" in answer[1]
