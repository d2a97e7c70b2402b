"""Posts over a WebSocket, on the connection that watches."""

import signal
import time
import uuid

import pytest

from livecomments.errors import Reason
from tests.processes import eventually
from tests.system import System, ready
from tests.websocket.viewers import open_socket

pytestmark = pytest.mark.usefixtures("no_error_is_logged")


def test_a_repeated_request_id_is_stored_once(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann"), reused=reused) as viewer:
        assert viewer.post("one", "r1") == viewer.post("one", "r1")
        viewer.say({"post": {"request_id": "r1", "text": "two"}})
        assert viewer.answer("r1", "error")["reason"] == "KEY_REUSED"
        again = system.try_post(stream, "one", key="r1")
        assert again.status_code == 202, "it is the same key over HTTP"
        viewer.until(lambda v: v.texts(), "the comment")
        assert viewer.texts() == ["one"]


@pytest.mark.parametrize(
    ("message", "request_id", "reason", "pointer"),
    [
        ('{"post": ', None, Reason.MALFORMED_BODY, None),
        ("[]", None, Reason.MALFORMED_BODY, None),
        ({"shout": {}}, None, Reason.INVALID_FIELD, "#/shout"),
        ({}, None, Reason.INVALID_FIELD, "#/post"),
        ({"post": {"text": "a"}}, None, Reason.INVALID_FIELD, "#/post/request_id"),
        ({"post": {"request_id": "", "text": "a"}}, "", Reason.INVALID_FIELD, "#/post/request_id"),
        ({"post": {"request_id": "é", "text": "a"}}, "é", Reason.INVALID_FIELD, "#/post/request_id"),
        ({"post": {"request_id": "r", "text": 5}}, "r", Reason.INVALID_FIELD, "#/post/text"),
        ({"post": {"request_id": "r", "text": " "}}, "r", Reason.INVALID_FIELD, "#/post/text"),
        ({"post": {"request_id": "r", "text": "a", "lag_ms": -1}}, "r", Reason.INVALID_FIELD, "#/post/lag_ms"),
        ({"post": {"request_id": "r", "text": "a", "client_ts": 2**63}}, "r", Reason.INVALID_FIELD, "#/post/client_ts"),
        ({"post": {"request_id": "r", "text": "a", "meta": [1]}}, "r", Reason.INVALID_FIELD, "#/post/meta"),
        ({"post": {"request_id": "r", "text": "a", "more": 1}}, "r", Reason.INVALID_FIELD, "#/post/more"),
        ({"post": {"request_id": "r", "text": "\ud800"}}, None, Reason.MALFORMED_BODY, None),
    ],
)
def test_a_bad_post_is_named_by_its_field_and_the_connection_stays(
    system: System, message: object, request_id: str | None, reason: Reason, pointer: str | None
) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann")) as viewer:
        viewer.say(message)
        error = viewer.answer(request_id, "error")
        assert error["reason"] == reason
        assert error["detail"]
        assert [found["pointer"] for found in error.get("errors", [])] == ([pointer] if pointer else [])
        viewer.post("good", "r2")
        viewer.until(lambda v: v.texts(), "the good one")
        assert viewer.texts() == ["good"]


def test_everyone_may_watch_a_public_stream_but_posting_needs_a_token(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, reused=reused) as viewer:
        viewer.say({"post": {"request_id": "r", "text": "a"}})
        assert viewer.answer("r", "error")["reason"] == "UNAUTHENTICATED"
    with open_socket(system, stream, token=system.token("ann", ttl_s=2), reused=reused) as viewer:

        def is_refused() -> bool:
            viewer.say({"post": {"request_id": uuid.uuid4().hex, "text": "a"}})
            viewer.until(lambda v: v.replies, "an answer")
            name, data = viewer.replies.pop()
            return bool(name == "error" and data["reason"] == "UNAUTHENTICATED")

        # At the pace that one socket is permitted.
        eventually(lambda: is_refused() or time.sleep(0.05), "the token has expired", timeout_s=5)
        system.post(stream, "last")
        viewer.until(lambda v: "last" in v.texts(), "it still watches")


def test_the_posts_of_one_viewer_that_wait_are_bounded(system: System) -> None:
    stream = system.create_stream()
    system.post(stream, "before")
    with open_socket(system, stream, token=system.token("ann")) as viewer:
        system.nats.signal(signal.SIGSTOP)
        try:
            for number in range(20):
                viewer.say({"post": {"request_id": f"r{number}", "text": f"c{number}"}})
            viewer.until(lambda v: len(v.replies) == 4, "four answers at once", timeout_s=1.5)
            assert [data["request_id"] for _, data in viewer.replies] == [f"r{number}" for number in range(16, 20)]
            assert all(data["reason"] == "OVERLOADED" for _, data in viewer.replies)
            assert all(data["retry_after_ms"] > 0 for _, data in viewer.replies)
        finally:
            system.nats.signal(signal.SIGCONT)
        viewer.until(lambda v: len(v.replies) == 20, "all are answered")


def test_the_limit_of_an_address_counts_what_comes_over_a_websocket(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-strict", edge_address_rate="0.01", edge_address_burst="3") as edge:
        url = ready(system, edge)
        with open_socket(system, stream, url=url, token=system.token("ann")) as viewer:
            for number in range(3):
                viewer.post("a", f"r{number}")
            viewer.say({"post": {"request_id": "over", "text": "a"}})
            error = viewer.answer("over", "error")
            assert error["reason"] == "ADDRESS_RATE"
            assert error["retry_after_ms"] > 1_000
            headers = {"Authorization": f"Bearer {system.token('bob')}"}
            answer = system.client.post(f"{url}/v1/streams/{stream}/comments", json={"text": "x"}, headers=headers)
            assert answer.status_code == 429, "it is the same address"
