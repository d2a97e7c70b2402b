"""The feed for clients that can hold no stream open."""

import threading
from typing import Any

from tests.system import System


def poll(system: System, stream: str, cursor: str, **query: object) -> dict[str, Any]:
    parameters = "".join(f"&{name}={value}" for name, value in query.items())
    answer = system.request("GET", f"/v1/streams/{stream}/comments?since={cursor}{parameters}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def texts(answer: dict[str, Any]) -> list[str]:
    return [c["text"] for event in answer["events"] if event["event"] == "new_comment" for c in event["data"]]


def test_polling_begins_with_a_snapshot_and_goes_on_without_a_gap(system: System) -> None:
    stream = system.create_stream()
    system.post(stream, "before")
    first = poll(system, stream, "")
    assert [event["event"] for event in first["events"]] == ["snapshot"]
    assert [comment["text"] for comment in first["events"][0]["data"]["comments"]] == ["before"]
    for number in range(5):
        system.post(stream, f"c{number}")
    seen: list[str] = []
    cursor = first["cursor"]
    while len(seen) < 5:
        answer = poll(system, stream, cursor, limit=2)
        seen += texts(answer)
        cursor = answer["cursor"]
    assert seen == [f"c{number}" for number in range(5)]
    assert poll(system, stream, cursor, wait=0)["events"] == []


def test_a_poll_waits_for_the_next_comment(system: System) -> None:
    stream = system.create_stream()
    cursor = poll(system, stream, "")["cursor"]
    answers: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: answers.append(poll(system, stream, cursor, wait=20)))
    waiting.start()
    system.post(stream, "now")
    waiting.join(10)
    assert not waiting.is_alive(), "it was answered as soon as the comment came"
    assert texts(answers[0]) == ["now"]
    assert answers[0]["cursor"] == answers[0]["events"][-1]["id"]


def test_a_poll_of_an_ended_stream_tells_the_end(system: System) -> None:
    stream = system.create_stream()
    cursor = poll(system, stream, "")["cursor"]
    system.post(stream, "one")
    system.end_stream(stream)
    events: list[str] = []
    while "stream_ended" not in events:
        answer = poll(system, stream, cursor, wait=5)
        events += [event["event"] for event in answer["events"]]
        cursor = answer["cursor"]
    assert events == ["new_comment", "stream_ended"]
    again = poll(system, stream, cursor)
    assert [event["event"] for event in again["events"]] == ["stream_ended"]
    assert again["poll_after_ms"] >= 1_000


def test_a_poll_says_what_does_not_fit(system: System) -> None:
    stream = system.create_stream()
    for query, reason in (
        ("since=x", "BAD_CURSOR"),
        ("since=&wait=61", "INVALID_FIELD"),
        ("since=&limit=0", "INVALID_FIELD"),
        ("since=&start_time=0", "INVALID_FIELD"),
    ):
        answer = system.request("GET", f"/v1/streams/{stream}/comments?{query}")
        assert answer.json()["reason"] == reason, query
    assert system.request("GET", "/v1/streams/nowhere/comments?since=").json()["reason"] == "STREAM_NOT_FOUND"
