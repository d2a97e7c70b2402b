"""The client for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
from google.protobuf.message import Message

from livecomments.calls import CHANNEL_OPTIONS, Metadata
from livecomments.client import requests, stream_requests
from livecomments.client.call import WATCH, Call, Page, serialized
from livecomments.client.connection import Closed, Connection
from livecomments.client.errors import LiveCommentsError, Unavailable
from livecomments.client.feed import FeedEvent
from livecomments.client.following import Following
from livecomments.client.signatures import tell_answer, tell_events, tell_many
from livecomments.client.tries import TRY_S, Tries, watch_error
from livecomments.errors import Reason
from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse

P = ParamSpec("P")
T = TypeVar("T")
_Call = grpc.aio.UnaryStreamCall[Message, WatchResponse]


class AsyncWatch(AsyncIterator[FeedEvent]):
    """A stream's feed, for one task at a time. Whoever leaves it before its end closes it: it is a context manager.

    Waiting for an event may be cancelled, or timed out: none is lost, and the next one can be waited for. Closing the
    client ends the iteration.
    """

    def __init__(self, open_feed: Callable[[WatchRequest], Awaitable[_Call]], following: Following) -> None:
        self._open_feed = open_feed
        self._following = following
        self._closing = asyncio.Event()
        self._call: _Call | None = None
        self._reading: asyncio.Task[WatchResponse | LiveCommentsError | None] | None = None
        """Outlives whoever waits for it: a read that is cancelled would take the call with it."""
        self._late_at = 0.0

    async def __anext__(self) -> FeedEvent:
        while not self._closing.is_set():
            if (event := self._following.take()) is not None:
                return event
            if self._following.over:
                await self.aclose()
            else:
                await self._advance()
        self._hang_up()
        raise StopAsyncIteration

    async def _advance(self) -> None:
        pause_s = self._following.pause_s(time.monotonic())
        if pause_s > 0 and await self._is_closed_within(pause_s):
            return
        try:
            self._following.received(await self._read())
        except Closed:
            self._closing.set()
        except LiveCommentsError as error:
            self._hang_up()
            if not self._closing.is_set():
                self._following.lost(error, time.monotonic())

    async def _is_closed_within(self, pause_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), pause_s)
        return self._closing.is_set()

    async def _read(self) -> WatchResponse | None:
        if self._call is None:
            self._call = await self._open_feed(self._following.request())
            if self._closing.is_set():
                raise Closed
        if self._reading is None:
            self._reading = asyncio.create_task(_read(self._call))
            self._late_at = time.monotonic() + self._following.patience_s()
        reading = self._reading
        await asyncio.wait({reading}, timeout=max(0.0, self._late_at - time.monotonic()))
        if not reading.done():
            raise Unavailable(Reason.OVERLOADED, f"the feed was silent for {self._following.patience_s():.0f} s")
        self._reading = None
        outcome = reading.result()
        if isinstance(outcome, LiveCommentsError):
            raise outcome
        return outcome

    def _hang_up(self) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call = self._reading = None

    async def aclose(self) -> None:
        """Lets the feed go. Repeatable."""
        self._closing.set()
        reading = self._reading
        self._hang_up()
        if reading is not None:
            await asyncio.wait({reading})

    def __del__(self) -> None:
        # A call that nobody has any more would go on, bound up with itself, until such things are collected.
        if self._call is not None and not self._call.done():
            self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _read(call: _Call) -> WatchResponse | LiveCommentsError | None:
    """The next response, None at the end, or why there is none: nobody may be left to hear an exception."""
    try:
        response = await call.read()
    except grpc.aio.AioRpcError as error:
        return watch_error(error, WATCH)
    except asyncio.CancelledError:
        # The call was cancelled, not this task: by who closed the watch, or the client.
        return Unavailable(Reason.OVERLOADED, "the feed was let go")
    return response if isinstance(response, WatchResponse) else None


class _Items(AsyncIterator[T]):
    """All items of all pages. Waiting for one may be cancelled: none is lost, and the next one can be waited for."""

    def __init__(self, ask: Callable[[Call[Page[T]]], Awaitable[Page[T]]], first: Call[Page[T]]) -> None:
        self._ask = ask
        self._page: Page[T] = Page((), first)
        self._items = iter(self._page.items)

    async def __anext__(self) -> T:
        while True:
            for item in self._items:
                return item
            if self._page.next is None:
                raise StopAsyncIteration
            self._page = await self._ask(self._page.next)
            self._items = iter(self._page.items)


def _answered(make: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncLiveComments", P], Coroutine[Any, Any, T]]:
    async def method(self: "AsyncLiveComments", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._answer(make(*args, **kwargs))

    tell_answer(method, make)
    return method


def _listed(make: Callable[P, Call[Page[T]]]) -> Callable[Concatenate["AsyncLiveComments", P], AsyncIterator[T]]:
    def method(self: "AsyncLiveComments", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return _Items(self._answer, make(*args, **kwargs))

    tell_many(method, make, AsyncIterator)
    return method


def _followed(make: Callable[P, Following]) -> Callable[Concatenate["AsyncLiveComments", P], AsyncWatch]:
    def method(self: "AsyncLiveComments", /, *args: P.args, **kwargs: P.kwargs) -> AsyncWatch:
        return self._kept(AsyncWatch(self._open_feed, make(*args, **kwargs)))

    tell_events(method, make, AsyncWatch)
    return method


class AsyncLiveComments(Connection[str | Awaitable[str], grpc.aio.Channel, AsyncWatch]):
    """The services, for any number of tasks of one event loop. Use it as a context manager, or ``aclose()`` it.

    Every method raises ``LiveCommentsError``, and nothing of grpc's. A service that is away is asked again, with
    jitter, until the call's deadline. What is cancelled may have been done all the same: ask again to find out, a
    post with the same ``request_id``.
    """

    post = _answered(requests.post)
    delete_comment = _answered(requests.delete_comment)
    pin_comment = _answered(requests.pin_comment)
    unpin_comment = _answered(requests.unpin_comment)
    ban_user = _answered(requests.ban_user)
    unban_user = _answered(requests.unban_user)
    watch = _followed(requests.watch)
    create_stream = _answered(stream_requests.create_stream)
    get_stream = _answered(stream_requests.get_stream)
    streams = _listed(stream_requests.streams)
    update_stream = _answered(stream_requests.update_stream)
    end_stream = _answered(stream_requests.end_stream)
    get_comment = _answered(requests.get_comment)
    comments = _listed(requests.comments)
    recent = _answered(requests.recent)

    async def aclose(self) -> None:
        """Ends what is under way: watches end, calls are cancelled. Repeatable."""
        watches, channels = self._shut()
        for watch in watches:
            await watch.aclose()
        for channel in channels:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _answer(self, call: Call[T]) -> T:
        tries = Tries(call, time.monotonic())
        while True:
            metadata = await self._metadata()
            method = self._channel(call.rpc.service).unary_unary(call.rpc.path, serialized, bytes)
            try:
                answer = await method(call.request, timeout=tries.timeout_s(time.monotonic()), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                pause_s = tries.failed(error, time.monotonic())
            else:
                return call.read(answer)
            await asyncio.sleep(pause_s)

    async def _open_feed(self, request: WatchRequest) -> _Call:
        metadata = await self._metadata()
        open_feed = self._channel(WATCH.service).unary_stream(WATCH.path, serialized, WatchResponse.FromString)
        return open_feed(request, metadata=metadata)

    async def _metadata(self) -> Metadata:
        token = self._token if isinstance(self._token, str) else self._token()
        if not isinstance(token, str):
            token = await asyncio.wait_for(token, TRY_S)
        return self._metadata_of(token)

    def _open(self, target: str) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(target, self._credentials, options=CHANNEL_OPTIONS)
