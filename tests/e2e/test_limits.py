"""How much may be posted from one address, whichever way it comes in; a trusted proxy's word counts, no client's."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from livecomments.errors import Reason
from tests.e2e.test_errors import refused
from tests.processes import Service
from tests.proxies import Envoy, Nginx, Proxy
from tests.sockets import SocketViewer
from tests.system import System, ready

BURST = 2
LIMIT = {"edge_address_rate": "0.01", "edge_address_burst": str(BURST)}

ALL_BUT_THE_LAST = [""] * BURST + [Reason.ADDRESS_RATE]
"""What BURST + 1 posts of one viewer come to."""

Line = tuple[str, str]


@pytest.fixture(scope="module")
def trusting(system: System) -> Iterator[Service]:
    """An edge behind one proxy."""
    with system.service("edge", "-trusting", edge_trusted_hops="1", **LIMIT) as edge:
        ready(system, edge)
        yield edge


@pytest.fixture(scope="module")
def direct(system: System) -> Iterator[Service]:
    """An edge that viewers reach themselves."""
    with system.service("edge", "-direct", **LIMIT) as edge:
        ready(system, edge)
        yield edge


@dataclass(frozen=True)
class Visitor:
    """One who posts from an address; each way of posting gives the reason of the refusal, "" for none."""

    system: System
    url: str
    stream: str
    address: str = "127.0.0.1"

    def post_plainly(self, *lines: Line) -> str:
        """As the door answers it."""
        return self._post(json.dumps({"text": "hi"}).encode(), lines)

    def post_in_chunks(self, *lines: Line) -> str:
        """As Hypercorn answers it."""
        return self._post(iter([b'{"text":', b'"hi"}']), lines)

    def post_over_a_socket(self, *lines: Line) -> str:
        """As a descriptor of the door's."""
        return self._say(lines, reused=False)

    def post_over_a_reused_socket(self, *lines: Line) -> str:
        """As one that Hypercorn handed off."""
        return self._say(lines, reused=True)

    def _post(self, content: bytes | Iterator[bytes], lines: Iterable[Line]) -> str:
        headers = [("Authorization", f"Bearer {self.system.token('ann')}"), *lines]
        transport = httpx.HTTPTransport(local_address=self.address)
        with httpx.Client(transport=transport, timeout=10, trust_env=False) as client:
            answer = client.post(f"{self.url}/v1/streams/{self.stream}/comments", content=content, headers=headers)
        if answer.status_code == 202:
            return ""
        refused(answer, Reason.ADDRESS_RATE)
        assert answer.headers["ratelimit-policy"] == f'"address";q={BURST};w=200'
        assert answer.headers["ratelimit"] == f'"address";r=0;t={answer.headers["retry-after"]}'
        return str(answer.json()["reason"])

    def _say(self, lines: Iterable[Line], *, reused: bool) -> str:
        token = self.system.token("ann")
        with SocketViewer(self.url, self.stream, token=token, headers=dict(lines), reused=reused) as viewer:
            viewer.until(lambda v: v.events, "the snapshot")
            viewer.say({"post": {"request_id": "r", "text": "hi"}})
            viewer.until(lambda v: v.replies, "an answer")
            name, data = viewer.replies[-1]
            return "" if name == "posted" else str(data["reason"])


WAYS = (Visitor.post_plainly, Visitor.post_in_chunks, Visitor.post_over_a_socket, Visitor.post_over_a_reused_socket)
Way = Callable[..., str]


@pytest.mark.parametrize("way", WAYS)
def test_behind_a_proxy_each_viewer_has_a_limit_of_its_own(system: System, trusting: Service, way: Way) -> None:
    visitor, mine = Visitor(system, f"http://{trusting.address}", system.create_stream()), 10 + WAYS.index(way)

    def post(said: str) -> str:
        return way(visitor, ("X-Forwarded-For", said))

    spoofed = [f"6.6.6.{number}, 10.0.0.{mine}" for number in range(BURST + 1)]
    assert [post(said) for said in spoofed] == ALL_BUT_THE_LAST, "what a client adds is not believed"
    assert post(f"10.0.0.{mine}:4711") == Reason.ADDRESS_RATE, "nor does a port make it another"
    assert post(f"10.0.1.{mine}") == "", "another viewer"
    of_one = [f"2001:db8:0:{mine}::{number}" for number in range(BURST + 1)]
    assert [post(said) for said in of_one] == ALL_BUT_THE_LAST, "an IPv6 host has a /64"


@pytest.mark.parametrize("way", [Visitor.post_plainly, Visitor.post_in_chunks])
def test_a_proxy_may_say_it_in_a_line_of_its_own(system: System, trusting: Service, way: Way) -> None:
    visitor = Visitor(system, f"http://{trusting.address}", system.create_stream())
    said = [
        [("X-Forwarded-For", f"6.6.6.{number}"), ("X-Forwarded-For", f"10.0.2.{WAYS.index(way)}")]
        for number in range(BURST + 1)
    ]
    assert [way(visitor, *lines) for lines in said] == ALL_BUT_THE_LAST


@pytest.mark.parametrize("way", [Visitor.post_plainly, Visitor.post_in_chunks])
def test_without_a_proxy_no_header_makes_another_address(system: System, direct: Service, way: Way) -> None:
    mine = 20 + WAYS.index(way)
    visitor = Visitor(system, f"http://{direct.address}", system.create_stream(), f"127.0.0.{mine}")
    said = [
        [("X-Forwarded-For", f"6.6.6.{number}"), ("Forwarded", f"for=6.6.6.{number}")] for number in range(BURST + 1)
    ]
    assert [way(visitor, *lines) for lines in said] == ALL_BUT_THE_LAST
    assert way(replace(visitor, address=f"127.0.1.{mine}")) == "", "another viewer"


def test_forwarded_is_understood_where_it_is_what_the_proxies_write(system: System) -> None:
    with system.service("edge", "-7239", edge_trusted_hops="2", edge_forwarded_header="forwarded", **LIMIT) as edge:
        visitor = Visitor(system, ready(system, edge), system.create_stream())
        outcomes = []
        for number, way in enumerate(WAYS[: BURST + 1]):
            said = f'for=6.6.6.{number}, for="[2001:db8::{number}]:4711";proto=https, for=10.0.0.1;by=_edge'
            outcomes.append(way(visitor, ("Forwarded", said), ("X-Forwarded-For", f"7.7.7.{number}")))
        assert outcomes == ALL_BUT_THE_LAST


@pytest.mark.parametrize("make", [Nginx, Envoy])
def test_real_proxies_tell_viewers_apart(system: System, tmp_path: Path, make: type[Proxy]) -> None:
    with (
        system.service("edge", f"-{make.__name__}", edge_trusted_hops="1", **LIMIT) as edge,
        make(make.__name__, tmp_path, edge.address) as proxy,
    ):
        ready(system, edge)
        stream = system.create_stream()
        for address in ("127.0.0.40", "127.0.0.41"):
            visitor = Visitor(system, proxy.url, stream, address)
            said = [("X-Forwarded-For", f"6.6.6.{number}") for number in range(BURST + 1)]
            assert [visitor.post_plainly(line) for line in said] == ALL_BUT_THE_LAST
