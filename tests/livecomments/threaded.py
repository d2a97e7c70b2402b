"""The blocking client with the face of the one for asyncio, so that one suite is for both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Self

from livecomments.client import FeedEvent, LiveComments, Watch

_END = object()


class ThreadedItems(AsyncIterator[Any]):
    """An iterator whose steps are taken in threads."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self._items, _END)
        if item is _END:
            raise StopAsyncIteration
        return item


class ThreadedWatch(ThreadedItems):
    """A watch whose steps are taken in threads; closed, it ends the one under way."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._watch = watch

    async def aclose(self) -> None:
        self._watch.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class ThreadedLiveComments:
    """Each call in a thread of its own."""

    def __init__(self, **arguments: Any) -> None:
        self._live = LiveComments(**arguments)

    def watch(self, stream_id: str, cursor: str | None = None) -> AsyncIterator[FeedEvent]:
        return ThreadedWatch(self._live.watch(stream_id, cursor))

    def comments(self, stream_id: str, **arguments: Any) -> AsyncIterator[Any]:
        return ThreadedItems(self._live.comments(stream_id, **arguments))

    def streams(self, **arguments: Any) -> AsyncIterator[Any]:
        return ThreadedItems(self._live.streams(**arguments))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._live, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(method, *arguments, **named)

        return call

    async def aclose(self) -> None:
        await asyncio.to_thread(self._live.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
