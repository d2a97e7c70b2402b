"""Core with its log and nothing before it: what is measured has the first core, nats-server and the load the last."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import grpc
from house import House

from livecomments.v1.stream_service_pb2 import CreateStreamRequest
from livecomments.v1.stream_service_pb2_grpc import StreamServiceStub

_AT_ONCE = 50


class CoreAlone:
    """Open for as long as the context is."""

    def __init__(self, profile: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """``profile``: where cProfile writes what core did."""
        self.house = House("core", {"LOG_LEVEL": "error", "DRAIN_S": "0.5", **(settings or {})}, profile)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.house)
            self.address = self.house.start("core")[1]["listen"]
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def create(self, stream_ids: Sequence[str]) -> None:
        """New streams of these ids."""
        asyncio.run(self._create(stream_ids))

    async def _create(self, stream_ids: Sequence[str]) -> None:
        metadata = (("authorization", f"Bearer {self.house.token('host', 'host')}"),)
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = StreamServiceStub(channel)

            async def create(stream_id: str) -> None:
                request = CreateStreamRequest(stream_id=stream_id, title="A benchmark")
                await stub.CreateStream(request, metadata=metadata, timeout=10)

            for at in range(0, len(stream_ids), _AT_ONCE):
                await asyncio.gather(*map(create, stream_ids[at : at + _AT_ONCE]))
