"""Envoy as deploy/envoy has it, before the whole system: gRPC-web as native gRPC, HTTP to the edges, all by TLS."""

import os
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from livecomments.v1 import comment_service_pb2 as comments
from livecomments.v1 import feed_service_pb2 as feed
from livecomments.v1 import history_service_pb2 as history
from livecomments.v1 import stream_service_pb2 as streams
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from tests.certificates import Certificate, make_certificate
from tests.commands import free_ports
from tests.grpc_web import BINARY, TEXT, Answer, call_once
from tests.http2 import Http2EventViewer, Http2GrpcWebViewer, Http2SocketViewer
from tests.processes import REPOSITORY, Process, Service, eventually
from tests.proxies import DeployedEnvoy, envoy_program
from tests.session_viewers import SessionViewer
from tests.sockets import SocketViewer
from tests.system import System, ready
from tests.texts import examples
from tests.viewers import Viewer, watch

ORIGIN = "https://app.example"
ENVOY_DEFAULT_S = 15
"""When Envoy ends an answer of a route that says nothing of that."""


@pytest.fixture(scope="module")
def edges(system: System) -> Iterator[list[Service]]:
    """Two that nobody reaches but through Envoy."""
    with ExitStack() as running:
        limits = {"edge_trusted_hops": "1", "edge_address_rate": "0.001", "edge_address_burst": "3"}
        edges = [system.service("edge", f"-behind-{number}", **limits) for number in (1, 2)]
        for edge in edges:
            running.enter_context(edge)
            ready(system, edge)
        yield edges


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def envoy(
    system: System, edges: list[Service], certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeployedEnvoy]:
    behind = {
        "EDGES": ",".join(edge.address for edge in edges),
        "CORES": system.core.address,
        "FANOUTS": system.fanout.address,
        "STORAGES": system.storage.address,
        "ORIGINS": f"https://other.example,{ORIGIN}",
    }
    with DeployedEnvoy(tmp_path_factory.mktemp("envoy"), certificate, **behind) as envoy:
        yield envoy


@pytest.fixture
def tls(certificate: Certificate) -> ssl.SSLContext:
    """For httpx, which sets in it which protocols it speaks."""
    return trusting(certificate, "h2")


def trusting(certificate: Certificate, protocol: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate.cert)
    context.set_alpn_protocols([protocol])
    return context


@pytest.fixture(params=[BINARY, TEXT], ids=["binary", "text"])
def content_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Caller:
    """Calls through Envoy, over HTTP/2."""

    def __init__(self, envoy: DeployedEnvoy, tls: ssl.SSLContext, content_type: str) -> None:
        self._how = {"tls": tls, "content_type": content_type}
        self._url = envoy.url

    def __call__(self, method: str, asked: Any, **how: Any) -> Answer:
        return call_once(self._url, method, asked, **{**self._how, **how})


@pytest.fixture
def call(envoy: DeployedEnvoy, tls: ssl.SSLContext, content_type: str) -> Caller:
    return Caller(envoy, tls, content_type)


def posts(edges: list[Service]) -> float:
    return sum(edge.metric('livecomments_edge_posts_total{outcome="accepted"}') for edge in edges)


# -- gRPC-web becomes gRPC --


def test_the_services_answer_the_calls_themselves(system: System, edges: list[Service], call: Caller) -> None:
    stream, key, before = system.create_stream(title="The final"), uuid.uuid4().hex, posts(edges)
    asked = comments.PostCommentRequest(stream_id=stream, text="hello \U0001f3c6", request_id=key)
    answer = call("CommentService/PostComment", asked, token=system.token("ann"))
    comment = answer.one(comments.PostCommentResponse).comment
    assert (comment.author_id, comment.text) == ("ann", "hello \U0001f3c6")
    again = call("CommentService/PostComment", asked, token=system.token("ann"))
    assert again.one(comments.PostCommentResponse).comment == comment
    assert posts(edges) == before, "the edges have not seen it"
    system.stored(stream, len)
    window = history.ListCommentsRequest(stream_id=stream, duration_ms=3_600_000)
    assert list(call("HistoryService/ListComments", window).one(history.ListCommentsResponse).comments) == [comment]
    recent = call("HistoryService/ListRecentComments", history.ListRecentCommentsRequest(stream_id=stream))
    assert list(recent.one(history.ListRecentCommentsResponse).comments) == [comment]
    found = call("StreamService/GetStream", streams.GetStreamRequest(stream_id=stream))
    assert found.one(streams.GetStreamResponse).stream.title == "The final"


def test_a_feed_comes_from_fanout_and_goes_on_at_its_cursor(
    system: System, envoy: DeployedEnvoy, certificate: Certificate, content_type: str
) -> None:
    stream = system.create_stream()
    tls = trusting(certificate, "h2")
    how: dict[str, Any] = {"tls": tls, "content_type": content_type, "headers": {"Accept": content_type}}
    with Http2GrpcWebViewer(envoy.url, stream, **how) as viewer:
        viewer.until(lambda v: v.events, "the snapshot")
        system.post(stream, "one")
        viewer.until(lambda v: v.texts() == ["one"], "the first")
        viewer.disconnect()
        system.post(stream, "two")
        before = len(viewer.responses)
        viewer.connect()
        viewer.until(lambda v: v.texts() == ["one", "two"], "what was missed")
        assert viewer.responses[before].snapshot.recovered
        system.end_stream(stream)
        viewer.until(lambda v: v.ending, "the end")
        assert viewer.ending is not None
        assert viewer.ending.status == 0


def test_what_is_refused_comes_with_its_details(system: System, call: Caller) -> None:
    stream, private = system.create_stream(), system.create_stream(visibility="private")
    bad = comments.PostCommentRequest(stream_id=stream, lag_ms=-1)
    ending = call("CommentService/PostComment", bad, token=system.token("ann")).ending
    assert (ending.status, ending.reason, ending.fields) == (3, "INVALID_FIELD", ("text", "lag_ms"))
    for asked, token, reason in (
        (comments.PostCommentRequest(stream_id=stream, text="x"), "", "UNAUTHENTICATED"),
        (comments.PostCommentRequest(stream_id=stream, text="x"), "x.y.z", "UNAUTHENTICATED"),
        (comments.PostCommentRequest(stream_id=private, text="x"), system.token("eve"), "FORBIDDEN"),
    ):
        assert call("CommentService/PostComment", asked, token=token).ending.reason == reason
    assert call("FeedService/Watch", feed.WatchRequest(stream_id=private)).ending.reason == "UNAUTHENTICATED"


def test_a_deadline_is_kept(system: System, call: Caller) -> None:
    stream = system.create_stream()
    answer = call("FeedService/Watch", feed.WatchRequest(stream_id=stream), timeout="1500m")
    assert feed.WatchResponse.FromString(answer.messages[0]).HasField("snapshot")
    assert answer.ending.status == 4


def test_nothing_else_can_be_called_from_outside(system: System, call: Caller) -> None:
    service = (system.data_dir / "secrets" / "service.token").read_text().strip()
    for method in ("CommentService/IngestComments", "FeedService/Relay", "FeedService/Backfill", "X/Y"):
        answer = call(method, feed.BackfillRequest(), headers={"X-Livecomments-Service-Token": service})
        assert answer.ending.status == 12


def test_pages_of_an_allowed_origin_may_call_the_services(
    system: System, envoy: DeployedEnvoy, tls: ssl.SSLContext
) -> None:
    asked = streams.GetStreamRequest(stream_id=system.create_stream())
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-grpc-web"}
    for origin, is_allowed in ((ORIGIN, True), ("https://evil.example", False)):
        headers = {"Origin": origin}
        answer = call_once(envoy.url, "StreamService/GetStream", asked, tls=tls, headers=headers)
        assert (answer.headers.get("access-control-allow-origin") == origin) is is_allowed
        assert ("grpc-status-details-bin" in answer.headers.get("access-control-expose-headers", "")) is is_allowed
        url = f"{envoy.url}/livecomments.v1.StreamService/GetStream"
        asked_first = httpx.options(url, headers={**headers, **preflight}, verify=tls, trust_env=False)
        assert ("x-grpc-web" in asked_first.headers.get("access-control-allow-headers", "")) is is_allowed


def test_a_phone_with_grpc_itself_is_served_too(system: System, envoy: DeployedEnvoy, certificate: Certificate) -> None:
    stream = system.create_stream()
    credentials = grpc.ssl_channel_credentials(certificate.cert.read_bytes())
    with grpc.secure_channel(envoy.address, credentials) as channel:
        metadata = (("authorization", f"Bearer {system.token('ann')}"),)
        asked = comments.PostCommentRequest(stream_id=stream, text="native")
        posted = CommentServiceStub(channel).PostComment(asked, metadata=metadata, timeout=20)
        assert posted.comment.text == "native"


# -- HTTP goes to the edges --


VIEWERS: dict[str, tuple[type[Viewer], str]] = {
    "sse": (Viewer, "http/1.1"),
    "sse over http2": (Http2EventViewer, "h2"),
    "websocket": (SocketViewer, "http/1.1"),
    "websocket over http2": (Http2SocketViewer, "h2"),
}


@pytest.mark.parametrize("way", list(VIEWERS))
def test_viewers_come_in_by_tls_and_are_descriptors(
    system: System, edges: list[Service], envoy: DeployedEnvoy, certificate: Certificate, way: str
) -> None:
    stream = system.create_stream()
    kind, protocol = VIEWERS[way]
    with kind(envoy.url, stream, tls=trusting(certificate, protocol)) as viewer:
        viewer.until(lambda v: v.events, "the snapshot")
        assert sum(edge.metric("livecomments_edge_ordinary_viewers") for edge in edges) == 0
        system.post(stream, "one")
        viewer.until(lambda v: v.texts() == ["one"], "the comment")
        viewer.disconnect()
        system.post(stream, "two")
        viewer.connect()
        viewer.until(lambda v: v.texts() == ["one", "two"], "what was missed")


def test_who_watches_stays_for_longer_than_an_answer_may_take(
    system: System, envoy: DeployedEnvoy, certificate: Certificate
) -> None:
    stream = system.create_stream()
    with ExitStack() as watching:
        viewers: list[Viewer] = [
            watching.enter_context(kind(envoy.url, stream, tls=trusting(certificate, protocol)))
            for kind, protocol in (*VIEWERS.values(), (Http2GrpcWebViewer, "h2"))
        ]
        session = watching.enter_context(SessionViewer(envoy.url, [stream], tls=trusting(certificate, "http/1.1")))
        everyone = [*viewers, session]
        until = time.monotonic() + ENVOY_DEFAULT_S + 1
        watch(everyone, lambda: time.monotonic() > until, "an answer would have been ended by now")
        system.post(stream, "still here?")
        for viewer in viewers:
            viewer.until(lambda v: v.texts() == ["still here?"], "the comment")
        watch([session], lambda: session.shown(stream) == ["still here?"], "the comment")


def empty(edges: list[Service]) -> bool:
    return sum(viewers_of(edges)) == 0


def viewers_of(edges: list[Service]) -> list[int]:
    return [int(edge.metric("livecomments_edge_connections")) for edge in edges]


def test_the_viewers_of_a_stream_meet_at_one_edge_and_streams_are_spread(
    system: System, edges: list[Service], envoy: DeployedEnvoy, certificate: Certificate
) -> None:
    seen: set[tuple[bool, ...]] = set()
    for _ in range(30):
        stream = system.create_stream()
        with ExitStack() as watching:
            for query in ("", "?all=0", "", "?last_event_id="):
                viewer = Viewer(envoy.url, stream, query=query, tls=trusting(certificate, "http/1.1"))
                watching.enter_context(viewer)
                viewer.until(lambda v: v.events, "the snapshot")
            assert sorted(viewers_of(edges)) == [0, 4]
            seen.add(tuple(map(bool, viewers_of(edges))))
        eventually(lambda: empty(edges), "they have left")
        if len(seen) == 2:
            return
    raise AssertionError("all streams went to one edge")


def test_a_stream_that_is_too_big_for_one_edge_goes_on_to_the_next(
    system: System, edges: list[Service], envoy: DeployedEnvoy, certificate: Certificate
) -> None:
    stream = system.create_stream()
    with ExitStack() as watching:
        viewers = []
        for _ in range(24):
            viewer = Viewer(envoy.url, stream, tls=trusting(certificate, "http/1.1"))
            viewers.append(watching.enter_context(viewer))
            viewer.until(lambda v: v.events, "the snapshot")
        assert max(viewers_of(edges)) <= 20
        system.post(stream, "all")
        watch(viewers, lambda: all(viewer.texts() == ["all"] for viewer in viewers), "everyone has it")
    eventually(lambda: empty(edges), "they have left")


def test_a_session_is_changed_at_the_edge_that_has_it(
    system: System, edges: list[Service], envoy: DeployedEnvoy, certificate: Certificate
) -> None:
    one, other = system.create_stream(), system.create_stream()
    tls = trusting(certificate, "http/1.1")
    with ExitStack() as watching, httpx.Client(verify=tls, trust_env=False) as http:
        for _ in range(12):
            # More than one edge's share, were they shared out.
            viewer = watching.enter_context(SessionViewer(envoy.url, [one], tls=tls))
            viewer.until(lambda v: v.names(one), "the session")
            assert http.put(f"{envoy.url}/v1/sessions/{viewer.session}/streams/{other}").is_success
            viewer.until(lambda v: other in v.streams, "the other stream")
    eventually(lambda: empty(edges), "they have left")


def test_posts_are_limited_by_where_they_really_come_from(
    system: System, envoy: DeployedEnvoy, tls: ssl.SSLContext
) -> None:
    stream = system.create_stream()
    path, headers = f"{envoy.url}/v1/streams/{stream}/comments", {"Authorization": f"Bearer {system.token('ann')}"}
    with httpx.Client(verify=tls, http2=True, trust_env=False) as http:
        answers = [
            http.post(path, json={"text": f"{number}"}, headers={**headers, "X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(4)
        ]
    assert [answer.http_version for answer in answers] == ["HTTP/2"] * 4
    assert answers[-1].status_code == 429
    assert answers[-1].json()["reason"] == "ADDRESS_RATE"


def test_a_lost_edge_is_left_for_the_other(
    system: System, edges: list[Service], envoy: DeployedEnvoy, certificate: Certificate
) -> None:
    stream = system.create_stream()
    with Viewer(envoy.url, stream, tls=trusting(certificate, "http/1.1")) as viewer:
        viewer.until(lambda v: v.events, "the snapshot")
        system.post(stream, "one")
        viewer.until(lambda v: v.texts() == ["one"], "the first")
        lost = edges[viewers_of(edges).index(1)]
        lost.kill()
        viewer.until(lambda v: v.closed, "the connection is lost")
        system.post(stream, "two")
        viewer.connect()
        viewer.until(lambda v: v.texts() == ["one", "two"], "what was missed")
    lost.start()
    eventually(lambda: envoy.well("edges") == 2, "it is back")


# -- the operator's side --


def test_the_access_log_tells_calls_and_no_secrets(system: System, envoy: DeployedEnvoy, tls: ssl.SSLContext) -> None:
    stream, token = system.create_stream(), system.token("ann")
    call_once(envoy.url, "StreamService/GetStream", streams.GetStreamRequest(stream_id=stream), token=token, tls=tls)
    path = f"/v1/streams/{stream}"
    headers = {"Authorization": f"Bearer {token}"}
    httpx.get(f"{envoy.url}{path}?ticket=SECRET", headers=headers, verify=tls, trust_env=False)

    (entry,) = eventually(lambda: envoy.logged(path), "the request is logged")
    assert (entry["status"], entry["address"]) == (200, "127.0.0.1")
    assert envoy.logged("/livecomments.v1.StreamService/GetStream")
    text = envoy.output.read_text()
    assert token not in text
    assert "SECRET" not in text


def test_the_pages_commands_put_envoy_in_front(system: System, certificate: Certificate, tmp_path: Path) -> None:
    (script,) = examples("deploy/envoy/README.md", "sh")
    here = {
        "/etc/tls/comments.pem": str(certificate.cert),
        "/etc/tls/comments.key": str(certificate.key),
        "10.0.0.11:8080,10.0.0.12:8080": system.edge.address,
        "10.0.0.21:7101": system.core.address,
        "10.0.0.31:7201": system.fanout.address,
        "10.0.0.41:7301": system.storage.address,
        "/etc/envoy/envoy.yaml": str(tmp_path / "envoy.yaml"),
        # What is ended in the end is Envoy, and not a shell around it.
        "&& envoy -c": "&& exec envoy -c",
    }
    for written, meant in here.items():
        assert written in script
        script = script.replace(written, meant)
    program = tmp_path / "envoy"
    # Without what a second Envoy on this machine would be refused for.
    program.write_text(f'#!/bin/sh\nexec "{envoy_program()}" --disable-hot-restart --concurrency 1 "$@"\n')
    program.chmod(0o755)
    address, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
    variables = {"LISTEN": address, "ADMIN": admin, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with Process("envoy-of-the-page", ["bash", "-euc", script], tmp_path, variables) as running:

        def in_front() -> bool:
            assert running.alive()
            try:
                answer = httpx.get(f"https://{address}/readyz", verify=trusting(certificate, "h2"), trust_env=False)
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        eventually(in_front, "the edge is ready behind it", 60)


def test_what_is_missing_or_wrong_is_named() -> None:
    behind = dict.fromkeys(("EDGES", "CORES", "FANOUTS", "STORAGES"), "127.0.0.1:1")
    whole = {"CERT": "cert.pem", "KEY": "key.pem", **behind}
    for variables, words in (
        ({**whole, "EDGES": "127.0.0.1"}, "'127.0.0.1' is not host:port"),
        ({name: value for name, value in whole.items() if name != "KEY"}, "KEY is not set"),
    ):
        command = [sys.executable, str(REPOSITORY / "deploy" / "envoy" / "render")]
        ended = subprocess.run(command, env=variables, check=False, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 1
        assert ended.stderr == f"render: {words}\n"
        assert not ended.stdout
