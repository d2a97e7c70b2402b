"""Every reason of the error table, provoked through the edge: its status, its form, and that nothing changed."""

import re
import signal
import uuid
from collections.abc import Iterator

import httpx
import pytest

from edge.reasons import MEANINGS
from livecomments.errors import Reason
from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with its limits for users on."""
    with System(tmp_path_factory.mktemp("strict"), edge_address_rate="0") as running:
        yield running


def refused(response: httpx.Response, reason: Reason, field: str = "") -> None:
    """The answer is this reason's problem, and names the field."""
    assert response.status_code == reason.http_status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["reason"] == reason, body
    assert body["status"] == reason.http_status
    assert body["type"] == f"/docs/errors#{reason}"
    if field:
        assert [error["pointer"] for error in body["errors"]] == [f"#/{field}"], body
    if reason.http_status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "   \n "}, "text"),
        ({"text": "x" * 501}, "text"),
        ({"text": "bell \x07"}, "text"),
        ({"text": 5}, "text"),
        ({"text": "a", "lag_ms": -1}, "lag_ms"),
        ({"text": "a", "lag_ms": 60_001}, "lag_ms"),
        ({"text": "a", "lag_ms": 2**31}, "lag_ms"),
        ({"text": "a", "client_ts": 2**63}, "client_ts"),
        ({"text": "a", "client_ts": -(2**63) - 1}, "client_ts"),
        ({"text": "a", "meta": [1]}, "meta"),
        ({"text": "a", "meta": {"x": "y" * 1100}}, "meta"),
        ({"text": "a", "unknown": 1}, "unknown"),
        ({}, "text"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_posted(system: System, fields: dict[str, object], field: str) -> None:
    stream = system.create_stream()
    answer = system.request("POST", f"/v1/streams/{stream}/comments", fields, token=system.token("ann"))
    refused(answer, Reason.INVALID_FIELD, field)
    system.post(stream, "good")
    with system.watch(stream) as viewer:
        assert viewer.texts() == ["good"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "t", "stream_id": "no spaces"}, "stream_id"),
        ({"title": "t", "stream_id": "x" * 65}, "stream_id"),
        ({"title": "t", "slow_mode_s": -1}, "slow_mode_s"),
        ({"title": "t", "slow_mode_s": 2**63}, "slow_mode_s"),
        ({"title": "t", "visibility": "secret"}, "visibility"),
    ],
)
def test_a_bad_stream_is_named_by_its_field(system: System, body: dict[str, object], field: str) -> None:
    refused(
        system.request("POST", "/v1/streams", body, token=system.token("host", role="host")),
        Reason.INVALID_FIELD,
        field,
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=9223372036854775808", "limit"),
        ("start_time=9223372036854775808", "start_time"),
        ("start_time=-1", "start_time"),
        ("duration=0", "duration"),
        ("x=1", "x"),
    ],
)
def test_a_bad_parameter_is_named(system: System, query: str, field: str) -> None:
    stream = system.create_stream()
    refused(system.request("GET", f"/v1/streams/{stream}/comments?{query}"), Reason.INVALID_FIELD, field)


def test_a_body_that_is_no_json_or_too_large_is_refused(system: System) -> None:
    stream = system.create_stream()
    path, token = f"/v1/streams/{stream}/comments", system.token("ann")
    refused(system.request("POST", path, b"{", token=token), Reason.MALFORMED_BODY)
    refused(system.request("POST", path, b"[]", token=token), Reason.MALFORMED_BODY)
    refused(system.request("POST", path, b'{"text": "a", "meta": {"x": "\xff"}}', token=token), Reason.MALFORMED_BODY)
    too_large = system.request("POST", path, b"x" * 20_000, token=token)
    refused(too_large, Reason.BODY_TOO_LARGE)
    # Else the next request may meet the connection's end.
    assert too_large.headers["connection"] == "close"

    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 1_000

    chunked = system.client.post(system.url + path, content=parts(), headers={"Authorization": f"Bearer {token}"})
    refused(chunked, Reason.BODY_TOO_LARGE)


def test_a_bad_cursor_and_a_bad_page_token_are_refused(system: System) -> None:
    stream = system.create_stream()
    for cursor in ("x", "ab-", "ab-01", "AB-1", "ab-99999999999999999999999"):
        answer = system.request("GET", f"/v1/streams/{stream}/comments/subscribe", headers={"Last-Event-ID": cursor})
        refused(answer, Reason.BAD_CURSOR)
    for path in (f"/v1/streams/{stream}/comments?pagination_token=x", f"/v1/streams/{stream}/comments/recent?cursor=x"):
        refused(system.request("GET", path), Reason.BAD_PAGE_TOKEN)
    refused(system.request("GET", "/v1/streams?pagination_token=x"), Reason.BAD_PAGE_TOKEN)


def test_a_page_token_is_good_for_its_own_arguments_alone(system: System) -> None:
    stream = system.create_stream()
    for number in range(3):
        system.post(stream, f"c{number}")
    system.stored(stream, lambda comments: len(comments) == 3)
    path = f"/v1/streams/{stream}/comments?start_time=0&duration=60&limit=2"
    token = system.request("GET", path).json()["next_pagination_token"]
    assert len(system.request("GET", f"{path}&pagination_token={token}").json()["comments"]) == 1
    other = f"/v1/streams/{stream}/comments?start_time=0&duration=50&limit=2&pagination_token={token}"
    refused(system.request("GET", other), Reason.BAD_PAGE_TOKEN)


def test_a_key_is_good_for_one_text(system: System) -> None:
    stream = system.create_stream()
    key = uuid.uuid4().hex
    first = system.try_post(stream, "one", key=key)
    again = system.try_post(stream, "one", key=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    refused(system.try_post(stream, "two", key=key), Reason.KEY_REUSED)
    assert system.try_post(stream, "one", key=key, user="bob").json()["comment_id"] != first.json()["comment_id"]
    with system.watch(stream) as viewer:
        assert viewer.texts() == ["one", "one"]


def test_without_a_good_token_nothing_is_posted_or_ruled(system: System) -> None:
    stream = system.create_stream()
    path = f"/v1/streams/{stream}/comments"
    refused(system.request("POST", path, {"text": "a"}), Reason.UNAUTHENTICATED)
    for token in ("x.y.z", system.token("ann", ttl_s=-10), system.token("ann")[:-3] + "abc"):
        answer = system.request("POST", path, {"text": "a"}, token=token)
        refused(answer, Reason.UNAUTHENTICATED)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    viewer = system.token("ann")
    refused(system.request("POST", "/v1/streams", {"title": "t"}, token=viewer), Reason.FORBIDDEN)
    refused(system.request("POST", f"/v1/streams/{stream}/end", token=viewer), Reason.FORBIDDEN)
    refused(system.request("PATCH", f"/v1/streams/{stream}", {"title": "t"}, token=viewer), Reason.FORBIDDEN)
    other_host = system.token("rival", role="host")
    refused(system.request("POST", f"/v1/streams/{stream}/end", token=other_host), Reason.FORBIDDEN)
    assert system.request("GET", f"/v1/streams/{stream}").json()["state"] == "live"


def test_a_moderator_rules_the_streams_that_its_token_names(system: System) -> None:
    mine, other = system.create_stream(), system.create_stream()
    token = system.token("mod", role="moderator", streams=(mine,))
    for stream, status in ((mine, 204), (other, 403)):
        posted = system.post(stream, "a")
        path = f"/v1/streams/{stream}/comments/{posted['comment_id']}"
        assert system.request("DELETE", path, token=token).status_code == status


def test_a_private_stream_is_seen_only_with_a_token_that_names_it(system: System) -> None:
    stream = system.create_stream(visibility="private")
    member = system.token("ann", streams=(stream,))
    assert system.try_post(stream, "secret", token=member).status_code == 202
    paths = [f"/v1/streams/{stream}{rest}" for rest in ("", "/comments", "/comments/recent", "/comments/subscribe")]
    for path in paths:
        refused(system.request("GET", path), Reason.UNAUTHENTICATED)
        refused(system.request("GET", path, token=system.token("eve")), Reason.FORBIDDEN)
    with system.watch(stream, token=member) as viewer:
        assert viewer.texts() == ["secret"]
    answer = system.request("GET", f"/v1/streams/{stream}/comments", token=member)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    listed = system.request("GET", "/v1/streams?limit=500").json()["streams"]
    assert stream not in [s["stream_id"] for s in listed]
    refused(system.try_post(stream, "x", user="eve"), Reason.FORBIDDEN)


def test_a_banned_user_posts_no_more_until_the_ban_is_lifted(system: System) -> None:
    stream = system.create_stream()
    host = system.token("host", role="host")
    path = f"/v1/streams/{stream}/bans/troll"
    refused(system.request("PUT", path, token=system.token("ann")), Reason.FORBIDDEN)
    assert system.request("PUT", path, token=host).status_code == 204
    eventually(lambda: system.try_post(stream, "x", user="troll").status_code == 403, "the ban holds", 1.5)
    refused(system.try_post(stream, "x", user="troll"), Reason.BANNED)
    assert system.request("DELETE", path, token=host).status_code == 204
    eventually(lambda: system.try_post(stream, "x", user="troll").status_code == 202, "the ban is lifted", 1.5)


def test_what_is_not_there_is_not_found(system: System) -> None:
    nowhere = f"s-{uuid.uuid4().hex}"
    for rest in ("", "/comments", "/comments/recent", "/comments/subscribe"):
        refused(system.request("GET", f"/v1/streams/{nowhere}{rest}"), Reason.STREAM_NOT_FOUND)
    refused(system.try_post(nowhere, "a"), Reason.STREAM_NOT_FOUND)
    stream = system.create_stream()
    host = system.token("host", role="host")
    gone = "0190b6a0-0000-7000-8000-000000000000"
    refused(
        system.request("PUT", f"/v1/streams/{stream}/pinned", {"comment_id": gone}, token=host),
        Reason.COMMENT_NOT_FOUND,
    )
    answer = system.request("PUT", f"/v1/streams/{stream}/pinned", {"comment_id": "x"}, token=host)
    refused(answer, Reason.INVALID_FIELD, "comment_id")
    assert system.request("GET", "/v1/nothing").status_code == 404
    assert system.request("PUT", "/v1/streams").status_code == 405


def test_an_id_belongs_to_the_host_that_took_it(system: System) -> None:
    stream = system.create_stream()
    body = {"title": "A test", "stream_id": stream}
    refused(system.request("POST", "/v1/streams", body, token=system.token("rival", role="host")), Reason.STREAM_EXISTS)
    again = system.request("POST", "/v1/streams", body, token=system.token("host", role="host"))
    assert again.status_code in (200, 201), "the same host's retry finds it"


def test_an_ended_stream_takes_nothing(system: System) -> None:
    stream = system.create_stream()
    system.end_stream(stream)
    refused(system.try_post(stream, "late"), Reason.STREAM_ENDED)
    assert system.replay(stream) == []


def test_a_user_may_post_its_burst_and_hears_when_it_may_again(strict: System) -> None:
    stream = strict.create_stream()
    answers = [strict.try_post(stream, f"c{number}", user="fast") for number in range(12)]
    assert [answer.status_code for answer in answers[:10]] == [202] * 10
    last = answers[-1]
    refused(last, Reason.USER_RATE)
    assert last.headers["ratelimit-policy"] == '"user";q=10;w=10'
    assert last.headers["ratelimit"].startswith('"user";r=0;t=')
    host = strict.token("host", role="host")
    assert all(strict.try_post(stream, f"h{n}", token=host).status_code == 202 for n in range(12)), "hosts are exempt"


def test_slow_mode_says_when_one_may_again(strict: System) -> None:
    stream = strict.create_stream(slow_mode_s=30)
    assert strict.try_post(stream, "one", user="slow").status_code == 202
    answer = strict.try_post(stream, "two", user="slow")
    refused(answer, Reason.SLOW_MODE)
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert answer.headers["ratelimit-policy"] == '"slow_mode";q=1;w=30'
    assert answer.headers["ratelimit"] == f'"slow_mode";r=0;t={answer.headers["retry-after"]}'


def test_an_address_may_post_its_burst(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-strict", edge_address_rate="1", edge_address_burst="3") as edge:
        url = f"http://{edge.address}/v1/streams/{stream}/comments"
        headers = {"Authorization": f"Bearer {system.token('ann')}"}
        eventually(lambda: system.client.get(f"http://{edge.address}/readyz").status_code == 200, "the edge is ready")
        answer = eventually(
            lambda: next(
                (a for a in [system.client.post(url, json={"text": "x"}, headers=headers)] if a.status_code == 429),
                None,
            ),
            "the address's burst is used up",
        )
    refused(answer, Reason.ADDRESS_RATE)
    assert answer.headers["ratelimit-policy"] == '"address";q=3;w=3'


def test_a_frozen_log_leaves_a_post_unconfirmed_and_the_repeat_stores_it_once(system: System) -> None:
    stream = system.create_stream()
    key = uuid.uuid4().hex
    system.post(stream, "before")
    system.nats.signal(signal.SIGSTOP)
    try:
        refused(system.try_post(stream, "in doubt", key=key), Reason.NOT_CONFIRMED)
    finally:
        system.nats.signal(signal.SIGCONT)
    answer = eventually(
        lambda: next((a for a in [system.try_post(stream, "in doubt", key=key)] if a.status_code == 202), None),
        "the repeat is answered",
    )
    with system.watch(stream) as viewer:
        viewer.until(lambda v: "in doubt" in v.texts(), "the comment is shown")
        assert viewer.texts() == ["before", "in doubt"]
        assert viewer.ids()[1] == answer.json()["comment_id"]


def test_without_a_core_a_post_is_not_taken(system: System) -> None:
    with system.service("edge", "-alone", core_urls="127.0.0.1:1") as edge:
        answer = system.client.post(
            f"http://{edge.address}/v1/streams/demo/comments",
            json={"text": "a"},
            headers={"Authorization": f"Bearer {system.token('ann')}"},
        )
        refused(answer, Reason.OVERLOADED)


@pytest.fixture(scope="module")
def full(system: System) -> Iterator[tuple[str, str]]:
    """Where to subscribe to a stream at an edge that has no room, and where anything else is asked of it."""
    stream = system.create_stream()
    with system.service("edge", "-full", edge_max_viewers="1") as edge:
        url = f"http://{edge.address}"
        with Viewer(url, stream) as only:
            only.until(lambda v: v.events, "the snapshot")
            yield f"{url}/v1/streams/{stream}/comments/subscribe", f"{url}/livez"


@pytest.mark.parametrize("way", ["door", "hypercorn"])
def test_an_edge_that_is_full_refuses_and_tells_an_event_source_when_to_come_back(
    full: tuple[str, str], way: str
) -> None:
    path, elsewhere = full
    retries: list[int] = []
    waits: list[int] = []
    for _ in range(12):
        with httpx.Client(timeout=10, trust_env=False) as client:
            if way == "hypercorn":
                client.get(elsewhere)
            refusal = client.get(path, headers={"Accept": "text/event-stream"})
            refused(refusal, Reason.OVERLOADED)
            waits.append(int(refusal.headers["retry-after"]))
        with httpx.Client(timeout=10, trust_env=False) as client:
            if way == "hypercorn":
                client.get(elsewhere)
            # As a browser's own EventSource asks, which gives up for good on any status but 200.
            answer = client.get(path, headers={"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream"
            assert re.fullmatch(r"retry: \d+\n\n", answer.text), "a time to wait, and the end"
            retries.append(int(answer.text.split()[1]))
    assert len(set(retries)) > 6, "they must not all come back at once"
    assert all(1_000 <= retry <= 7_000 for retry in retries)
    assert len(set(waits)) > 1
    assert all(1 <= wait <= 5 for wait in waits)


def test_an_edge_that_drains_takes_no_posts_and_sends_its_viewers_away(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-draining", edge_drain_s="3") as edge:
        url = f"http://{edge.address}"
        with Viewer(url, stream) as viewer:
            viewer.until(lambda v: v.events, "the snapshot")
            # This connection was accepted before, and is still good for a request.
            system.client.get(f"{url}/livez")
            edge.signal(signal.SIGTERM)
            eventually(lambda: "draining" in edge.output.read_text(), "the edge drains")
            answer = _post_on_open_connection(system, url, stream)
            if answer is not None:
                refused(answer, Reason.DRAINING)
            viewer.until(lambda v: v.closed, "the viewer is sent away")
        assert edge.popen is not None
        assert edge.popen.wait(10) == 0


def _post_on_open_connection(system: System, url: str, stream: str) -> httpx.Response | None:
    try:
        return system.client.post(
            f"{url}/v1/streams/{stream}/comments",
            json={"text": "a"},
            headers={"Authorization": f"Bearer {system.token('ann')}"},
        )
    except httpx.TransportError:
        return None


def test_every_reason_is_explained_at_the_address_that_problems_point_to(system: System) -> None:
    page = system.request("GET", "/docs/errors").text
    assert set(MEANINGS) == set(Reason)
    for reason in Reason:
        assert f'id="{reason}"' in page
