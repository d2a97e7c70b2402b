"""TLS and HTTP/2: every way to watch gives the same events as over plain HTTP/1.1, and nobody can hold the edge up."""

import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.certificates import Certificate, make_certificate
from tests.grpc_web import TEXT, GrpcWebViewer
from tests.http2 import Http2EventViewer, Http2GrpcWebViewer, Http2PollViewer, Http2SocketViewer
from tests.polls import PollViewer
from tests.processes import Service, eventually
from tests.sockets import SocketViewer
from tests.system import System, ready
from tests.viewers import Event, Viewer, watch

OVER_HTTP_1: dict[str, Callable[..., Viewer]] = {
    "sse": Viewer,
    "websocket": SocketViewer,
    "grpc-web": GrpcWebViewer,
    "grpc-web-text": lambda *where, **how: GrpcWebViewer(*where, content_type=TEXT, **how),
    "poll": PollViewer,
}
OVER_HTTP_2: dict[str, Callable[..., Viewer]] = {
    "sse": Http2EventViewer,
    "websocket": Http2SocketViewer,
    "grpc-web": Http2GrpcWebViewer,
    "grpc-web-text": lambda *where, **how: Http2GrpcWebViewer(*where, content_type=TEXT, **how),
    "poll": Http2PollViewer,
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def start(system: System, certificate: Certificate) -> Callable[..., Service]:
    """Makes an edge that listens for TLS, too."""

    def make(name: str, **settings: str) -> Service:
        tls = {"tls_cert": str(certificate.cert), "tls_key": str(certificate.key), "edge_tls_listen": "127.0.0.1:0"}
        return system.service("edge", name, **{**tls, **settings})

    return make


@pytest.fixture(scope="module")
def edge(system: System, start: Callable[..., Service]) -> Iterator[Service]:
    with start("-tls") as edge:
        ready(system, edge)
        yield edge


@pytest.fixture(autouse=True)
def no_error_is_logged(edge: Service) -> Iterator[None]:
    with edge.logs_no_error():
        yield


def trusting(certificate: Certificate, *protocols: str) -> ssl.SSLContext:
    """A client's side, which speaks these protocols."""
    context = ssl.create_default_context(cafile=certificate.cert)
    context.set_alpn_protocols(list(protocols))
    return context


@dataclass(frozen=True)
class Transport:
    """One way to the edge."""

    url: str
    kinds: dict[str, Callable[..., Viewer]]
    tls: ssl.SSLContext | None

    def watch(self, way: str, stream: str, **how: str) -> Viewer:
        viewer = self.kinds[way](self.url, stream, tls=self.tls, **how)
        viewer.until(lambda v: v.events or v.status not in (0, 101, 200), "the first event")
        return viewer


@pytest.fixture(params=["tls", "tls-http2", "http2"])
def transport(request: pytest.FixtureRequest, edge: Service, certificate: Certificate) -> Transport:
    match request.param:
        case "tls":
            return Transport(f"https://{edge.tls_address}", OVER_HTTP_1, trusting(certificate, "http/1.1"))
        case "tls-http2":
            return Transport(f"https://{edge.tls_address}", OVER_HTTP_2, trusting(certificate, "h2"))
        case _:
            return Transport(f"http://{edge.address}", OVER_HTTP_2, None)


def from_the_log(viewer: Viewer) -> list[Event]:
    """Comments one by one: windows may be cut elsewhere."""
    found: list[Event] = []
    for event in viewer.events:
        if event.name == "new_comment":
            found += [Event(event.name, comment, "") for comment in event.data]
        elif event.name not in ("viewers", "snapshot"):
            found.append(Event(event.name, event.data, ""))
    return found


@pytest.mark.parametrize("way", list(OVER_HTTP_1))
def test_every_way_to_watch_gives_the_same_events(
    system: System, edge: Service, transport: Transport, way: str
) -> None:
    stream = system.create_stream()
    host = system.token("host", role="host")
    path = f"/v1/streams/{stream}"
    system.post(stream, "before")
    with transport.watch(way, stream) as viewer, Viewer(f"http://{edge.address}", stream) as other:
        other.until(lambda v: v.events, "the snapshot")
        one, two = system.post(stream, "one"), system.post(stream, "two \U0001f3c6 \u2028!")
        viewer.until(lambda v: v.texts()[-1:] == ["two \U0001f3c6 \u2028!"], "both comments")
        viewer.disconnect()
        system.request("PUT", f"{path}/pinned", {"comment_id": one["comment_id"]}, token=host)
        system.request("DELETE", f"{path}/comments/{two['comment_id']}", token=host)
        viewer.connect()
        system.request("DELETE", f"{path}/pinned", token=host)
        system.end_stream(stream)
        other.until(lambda v: v.closed, "the end")
        viewer.until(lambda v: v.events[-1].name == "stream_ended", "the end, here too")
        assert viewer.comments() == other.comments()
        assert from_the_log(viewer) == from_the_log(other)
        assert [event.name for event in from_the_log(viewer)] == [
            "new_comment", "new_comment", "pinned_comment", "delete_comment", "unpinned_comment", "stream_ended",
        ]  # fmt: skip
        assert viewer.cursor == other.cursor


@pytest.mark.parametrize("way", list(OVER_HTTP_1))
def test_a_private_stream_stays_private(system: System, transport: Transport, way: str) -> None:
    stream = system.create_stream(visibility="private")
    with transport.watch(way, stream, token=system.token("ann", streams=(stream,))) as ann:
        ann.until(lambda v: v.events, "the snapshot")
    with transport.kinds[way](transport.url, stream, tls=transport.tls) as nobody:
        if isinstance(nobody, PollViewer):
            nobody.poll()
        else:
            nobody.until(lambda v: v.status and (v.closed or v.body or getattr(v, "ending", None)), "the refusal")
        assert nobody.events == []
        assert nobody.status == (200 if isinstance(nobody, GrpcWebViewer) else 401)


def test_a_comment_is_posted_over_http_2_and_tls(system: System, edge: Service, certificate: Certificate) -> None:
    stream = system.create_stream()
    headers = {"Authorization": f"Bearer {system.token('ann')}"}
    tls = trusting(certificate, "h2", "http/1.1")
    with httpx.Client(trust_env=False, verify=tls, http2=True, http1=False) as client:
        path = f"https://{edge.tls_address}/v1/streams/{stream}/comments"
        answer = client.post(path, json={"text": "over TLS"}, headers=headers)
        assert (answer.status_code, answer.http_version) == (202, "HTTP/2")
    with system.watch(stream) as viewer:
        assert viewer.texts() == ["over TLS"]


def test_what_is_no_tls_is_let_go_and_disturbs_nobody(system: System, edge: Service, certificate: Certificate) -> None:
    stream = system.create_stream()
    transport = Transport(f"https://{edge.tls_address}", OVER_HTTP_1, trusting(certificate, "http/1.1"))
    host, port = edge.tls_address.split(":")
    with transport.watch("sse", stream) as viewer:
        failed = edge.metric('livecomments_edge_tls_handshakes_total{outcome="failed"}')
        for data in (b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(100), b"\xff" * 5_000):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        assert edge.metric('livecomments_edge_tls_handshakes_total{outcome="failed"}') >= failed + 2
        system.post(stream, "undisturbed")
        viewer.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


@pytest.mark.parametrize(
    ("way", "http_2"), [("sse", False), ("websocket", False), ("grpc-web", True), ("websocket", True)]
)
def test_a_viewer_that_stalls_is_cut_and_nobody_waits_for_it(
    system: System, start: Callable[..., Service], certificate: Certificate, way: str, http_2: bool
) -> None:
    stream = system.create_stream()
    with start("-stalled", edge_backlog_bytes="16384", edge_max_comments_per_second="0") as edge:
        ready(system, edge)
        protocol, kinds = ("h2", OVER_HTTP_2) if http_2 else ("http/1.1", OVER_HTTP_1)
        transport = Transport(f"https://{edge.tls_address}", kinds, trusting(certificate, protocol))
        with transport.watch(way, stream) as stalled, Viewer(f"http://{edge.address}", stream) as other:
            other.until(lambda v: v.events, "the snapshot")
            posted = 0
            while not edge.metric("livecomments_edge_viewers_behind_total"):
                assert posted < 3_000
                for _ in range(50):
                    system.post_until_accepted(stream, "\U0001f3c6" * 490, meta={"filler": "y" * 900})
                    posted += 1
                other.until(lambda v, posted=posted: len(v.texts()) == posted, "the other one has everything")  # type: ignore[misc]
            eventually(lambda: edge.metric("livecomments_edge_connections") == 1, "the stalled one has gone")
            seen = stalled.cursor
            stalled.connect()
            stalled.until(lambda v: v.events[-1].id == other.cursor, "it comes back")
            assert stalled.cursor != seen


def test_a_draining_edge_lets_its_tls_viewers_go(
    system: System, start: Callable[..., Service], certificate: Certificate
) -> None:
    stream = system.create_stream()
    with start("-draining", edge_drain_s="0.5") as edge:
        ready(system, edge)
        viewers: list[Viewer] = []
        for protocol, kinds in (("http/1.1", OVER_HTTP_1), ("h2", OVER_HTTP_2)):
            transport = Transport(f"https://{edge.tls_address}", kinds, trusting(certificate, protocol))
            viewers += [transport.watch(way, stream) for way in ("sse", "websocket", "grpc-web", "grpc-web-text")]
        edge.signal(signal.SIGTERM)
        watch(viewers, lambda: all(viewer.closed for viewer in viewers), "everyone is let go")
        assert edge.popen is not None
        assert edge.popen.wait(5) == 0
        for viewer in viewers:
            match viewer:
                case GrpcWebViewer():
                    assert viewer.ending is not None
                    assert viewer.ending.reason == "DRAINING"
                case SocketViewer():
                    assert viewer.close is not None
                    assert viewer.close[0] == 1001
                case _:
                    assert viewer.retry_ms is not None


def test_a_certificate_that_does_not_do_ends_the_start_with_one_line(system: System, tmp_path: Path) -> None:
    edge = system.service("edge", "-uncertified", edge_tls_listen="127.0.0.1:0", tls_cert=str(tmp_path / "none.pem"))
    with pytest.raises(
        AssertionError, match=r"ended with 2:\nsetting LIVECOMMENTS_TLS_CERT: .*none\.pem: No such file"
    ):
        edge.start()
