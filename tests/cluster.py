"""Three nats-servers on loopback that keep three copies of everything."""

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import nats

from tests.processes import NatsServer, eventually

SERVERS = 3
_SETTLE_S = 60.0


class NatsNode(NatsServer):
    """One of them. ``routes``: the ports at which the servers find each other, its own first."""

    def __init__(self, data_dir: Path, routes: Sequence[int]) -> None:
        data_dir.mkdir()
        super().__init__(data_dir)
        self.name = data_dir.name
        self._routes = routes

    def configured(self, usual: str) -> str:
        own, *others = self._routes
        routes = ", ".join(f"nats-route://127.0.0.1:{port}" for port in others)
        return (
            usual.replace("server_name: livecomments", f"server_name: {self.name}")
            + "http: 127.0.0.1:-1\n"
            # Clients know those alone that they are told of: a test may tie one to a server.
            + f"cluster {{ name: livecomments, listen: 127.0.0.1:{own}, routes: [{routes}], no_advertise: true }}\n"
        )

    def told(self, path: str) -> Any:
        """What its monitoring port says; an empty object while it does not answer."""
        try:
            (ports,) = (self._data_dir / "nats").glob("*.ports")
            (url,) = json.loads(ports.read_text())["monitoring"]
            return httpx.get(f"{url}/{path}", timeout=1, trust_env=False).json()
        except (httpx.TransportError, ValueError):
            return {}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stands still, with all its connections open, for as long as the context is."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


class NatsCluster:
    """The servers, running for as long as the context is open."""

    def __init__(self, data_dir: Path, make: Callable[[Path, Sequence[int]], NatsNode] = NatsNode) -> None:
        ports = _free_ports(SERVERS)
        self.nodes = [make(data_dir / f"n{number}", [*ports[number:], *ports[:number]]) for number in range(SERVERS)]
        self._open = ExitStack()

    @property
    def url(self) -> str:
        """Where they are, for clients."""
        return ",".join(node.url for node in self.nodes)

    def __enter__(self) -> Self:
        """They listen by then; that they agree on who leads takes its time."""
        with ExitStack() as opening:
            for node in self.nodes:
                opening.enter_context(node)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def settle(self) -> None:
        """Waits until every stream is led, and every copy of it has everything."""
        eventually(self._is_settled, "all streams are led, and all copies current", _SETTLE_S)

    def _is_settled(self) -> bool:
        led = {detail["name"]: detail for node in self.nodes for detail in _details(node) if _leads(node, detail)}
        known = {detail["name"] for node in self.nodes for detail in _details(node)}
        copies = [copy for detail in led.values() for copy in detail["cluster"].get("replicas", ())]
        return bool(known) and led.keys() == known and all(copy["current"] for copy in copies)

    def leader(self, stream: str) -> NatsNode:
        """The one that leads a stream now, by its own word."""

        def find() -> NatsNode | None:
            for node in self.nodes:
                if any(detail["name"] == stream and _leads(node, detail) for detail in _details(node)):
                    return node
            return None

        return eventually(find, f"{stream} is led", _SETTLE_S)

    def lead(self, stream: str, node: NatsNode) -> None:
        """Has a stream led by this one."""
        asyncio.run(_step_down(self.leader(stream).url, stream, node.name))
        eventually(lambda: self.leader(stream) is node, f"{node.name} leads {stream}")

    def copies(self) -> dict[str, int]:
        """On how many servers each stream is kept."""
        return {detail["name"]: detail["config"]["num_replicas"] for detail in _details(self.nodes[0])}

    def served(self, client: str) -> NatsNode:
        """The one that a client of this name is connected to."""

        def find() -> NatsNode | None:
            for node in self.nodes:
                if any(one.get("name") == client for one in node.told("connz").get("connections", ())):
                    return node
            return None

        return eventually(find, f"{client} is connected")

    def others(self, node: NatsNode) -> list[NatsNode]:
        return [other for other in self.nodes if other is not node]


async def _step_down(url: str, stream: str, successor: str) -> None:
    client = await nats.connect(url)
    request = json.dumps({"placement": {"preferred": successor}}).encode()
    try:
        await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", request, timeout=5)
    finally:
        await client.close()


def _details(node: NatsNode) -> list[Any]:
    told = node.told("jsz?streams=true&config=true")
    return [detail for account in told.get("account_details", ()) for detail in account.get("stream_detail", ())]


def _leads(node: NatsNode, detail: Any) -> bool:
    led: bool = detail.get("cluster", {}).get("leader") == node.name
    return led


def _free_ports(count: int) -> list[int]:
    with ExitStack() as probes:
        held = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in held]
