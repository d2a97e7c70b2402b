"""The connection to NATS when servers freeze."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from livecomments.log import connect
from livecomments.settings import Settings
from tests.core.waiting import until
from tests.processes import NatsServer

pytestmark = pytest.mark.anyio

MORE_THAN_THE_KERNEL_TAKES = 64 * 1024 * 1024


@pytest.fixture
def other_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "other"
    folder.mkdir()
    with NatsServer(folder) as server:
        yield server


async def fill(client: Client) -> None:
    """Publishes until nothing is taken any more."""
    payload = bytes(256 * 1024)
    try:
        for _ in range(MORE_THAN_THE_KERNEL_TAKES // len(payload)):
            async with asyncio.timeout(1):
                await client.publish("nobody", payload)
    except (NatsError, TimeoutError):
        pass


async def test_a_server_that_froze_with_all_buffers_full_is_left_for_another(
    nats_server: NatsServer, other_nats_server: NatsServer
) -> None:
    by_port = {int(server.url.rsplit(":", 1)[1]): server for server in (nats_server, other_nats_server)}
    async with connect(Settings(nats_url=(nats_server.url, other_nats_server.url)), "test") as client:
        assert client.connected_url is not None
        assert client.connected_url.port is not None
        frozen = by_port[client.connected_url.port]
        frozen.signal(signal.SIGSTOP)
        await fill(client)

        async def is_elsewhere() -> bool:
            url = client.connected_url
            return client.is_connected and url is not None and by_port[url.port or 0] is not frozen

        await until(is_elsewhere, "it is connected to the other", timeout_s=30)
        async with asyncio.timeout(10):
            await client.jetstream().account_info()


async def test_a_frozen_server_does_not_keep_us_from_leaving(nats_server: NatsServer, data_dir: Path) -> None:
    async with connect(Settings(nats_url=(nats_server.url,), data_dir=data_dir), "test") as client:
        nats_server.signal(signal.SIGSTOP)
        await fill(client)
        leaving = time.monotonic()
    # For ever, if it waited for the server; several times what it should take on a busy machine.
    assert time.monotonic() - leaving < 20


async def test_who_is_not_let_in_is_told_why(
    nats_server: NatsServer, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecomments.log.CONNECT_TIMEOUT_S", 1.0)
    nats_server.kill()
    with pytest.raises(TimeoutError, match="no NATS server let us in within 1 s: ConnectionRefusedError"):
        async with connect(Settings(nats_url=(nats_server.url,), data_dir=data_dir), "test"):
            pass


async def test_attempts_that_nats_py_lost_sight_of_end_with_the_connection(
    nats_server: NatsServer, data_dir: Path
) -> None:
    refused: list[Exception] = []

    async def is_at_it() -> bool:
        return len(refused) > 8

    settings = Settings(nats_url=(nats_server.url,), data_dir=data_dir)
    async with connect(settings, "test", on_error=refused.append) as client:
        nats_server.kill()
        forgotten = asyncio.create_task(client._attempt_reconnect())
        await until(is_at_it, "the server has refused several attempts")
        assert not forgotten.done()
    ended, _ = await asyncio.wait([forgotten], timeout=10)
    assert ended, "it goes on for ever"
