"""The blocking client."""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, Protocol, Self, TypeVar

import grpc

from livecomments.calls import CHANNEL_OPTIONS, Metadata
from livecomments.client import requests, stream_requests
from livecomments.client.call import WATCH, Call, Page, serialized
from livecomments.client.connection import Closed, Connection
from livecomments.client.errors import LiveCommentsError
from livecomments.client.feed import FeedEvent
from livecomments.client.following import FIRST_MAX_S, Following
from livecomments.client.signatures import tell_answer, tell_events, tell_many
from livecomments.client.tries import Tries, watch_error
from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse

P = ParamSpec("P")
T = TypeVar("T")


class _Responses(Protocol):
    """A streaming call of grpc's."""

    def __iter__(self) -> Iterator[WatchResponse]: ...

    def cancel(self) -> object: ...


class Watch(Iterator[FeedEvent]):
    """A stream's feed, for one thread at a time. Whoever leaves it before its end closes it: it is a context manager.

    ``close()`` may come from any thread, and ends the iteration; so does closing the client.
    """

    def __init__(self, open_feed: Callable[[WatchRequest], "_Call"], following: Following) -> None:
        self._open_feed = open_feed
        self._following = following
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._call: _Call | None = None

    def __next__(self) -> FeedEvent:
        while not self._closing.is_set():
            if (event := self._following.take()) is not None:
                return event
            if self._following.over:
                self.close()
            else:
                self._advance()
        raise StopIteration

    def _advance(self) -> None:
        if self._closing.wait(self._following.pause_s(time.monotonic())):
            return
        try:
            self._following.received(self._read())
        except Closed:
            self._closing.set()
        except LiveCommentsError as error:
            self._hang_up()
            if not self._closing.is_set():
                self._following.lost(error, time.monotonic())

    def _read(self) -> WatchResponse | None:
        call = self._call
        try:
            if call is None:
                call = self._open_feed(self._following.request())
                with self._lock:
                    self._call = call
                if self._closing.is_set():
                    call.cancel()
            return call.read(self._following.patience_s())
        except grpc.RpcError as error:
            raise watch_error(error, WATCH) from error

    def _hang_up(self) -> None:
        with self._lock:
            call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def close(self) -> None:
        """Lets the feed go. Repeatable."""
        self._closing.set()
        self._hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Call:
    """One connection of a watch. A blocking read has no deadline of its own: a thread cancels the one that is late."""

    def __init__(self, call: _Responses) -> None:
        self._call = call
        self._responses = iter(call)
        self._late_at: float | None = None
        self._over = threading.Event()
        # The thread must not keep alive what nobody else does: grpc ends a call that is let go.
        threading.Thread(target=_end_when_late, args=(weakref.ref(self), self._over), daemon=True).start()

    def read(self, patience_s: float) -> WatchResponse | None:
        """The next response; None at the end. Raises grpc.RpcError."""
        self._late_at = time.monotonic() + patience_s
        try:
            return next(self._responses, None)
        finally:
            self._late_at = None

    def late_in_s(self) -> float:
        """When to look again: a response that takes too long is found within ten seconds more."""
        late_at = self._late_at
        return FIRST_MAX_S if late_at is None else late_at - time.monotonic()

    def cancel(self) -> None:
        self._over.set()
        self._call.cancel()

    def __del__(self) -> None:
        self.cancel()


def _end_when_late(call: "weakref.ref[_Call]", over: threading.Event) -> None:
    wait_s = FIRST_MAX_S
    while not over.wait(wait_s):
        if (watched := call()) is None:
            return
        wait_s = watched.late_in_s()
        if wait_s <= 0:
            watched.cancel()
        del watched


def _answered(make: Callable[P, Call[T]]) -> Callable[Concatenate["LiveComments", P], T]:
    def method(self: "LiveComments", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._answer(make(*args, **kwargs))

    tell_answer(method, make)
    return method


def _listed(make: Callable[P, Call[Page[T]]]) -> Callable[Concatenate["LiveComments", P], Iterator[T]]:
    def method(self: "LiveComments", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._items(make(*args, **kwargs))

    tell_many(method, make, Iterator)
    return method


def _followed(make: Callable[P, Following]) -> Callable[Concatenate["LiveComments", P], Watch]:
    def method(self: "LiveComments", /, *args: P.args, **kwargs: P.kwargs) -> Watch:
        return self._kept(Watch(self._open_feed, make(*args, **kwargs)))

    tell_events(method, make, Watch)
    return method


class LiveComments(Connection[str, grpc.Channel, Watch]):
    """The services, for any number of threads. Use it as a context manager, or ``close()`` it.

    Every method raises ``LiveCommentsError``, and nothing of grpc's. A service that is away is asked again, with
    jitter, until the call's deadline.
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

    def close(self) -> None:
        """Ends what is under way: watches end, calls are refused. Repeatable, from any thread."""
        watches, channels = self._shut()
        for watch in watches:
            watch.close()
        for channel in channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, call: Call[T]) -> T:
        tries = Tries(call, time.monotonic())
        while True:
            metadata = self._metadata()
            method = self._channel(call.rpc.service).unary_unary(call.rpc.path, serialized, bytes)
            try:
                answer = method(call.request, timeout=tries.timeout_s(time.monotonic()), metadata=metadata)
            except grpc.RpcError as error:
                pause_s = tries.failed(error, time.monotonic())
            else:
                return call.read(answer)
            time.sleep(pause_s)

    def _items(self, first: Call[Page[T]]) -> Iterator[T]:
        call: Call[Page[T]] | None = first
        while call is not None:
            page = self._answer(call)
            yield from page.items
            call = page.next

    def _open_feed(self, request: WatchRequest) -> _Call:
        metadata = self._metadata()
        open_feed = self._channel(WATCH.service).unary_stream(WATCH.path, serialized, WatchResponse.FromString)
        return _Call(open_feed(request, metadata=metadata))

    def _metadata(self) -> Metadata:
        return self._metadata_of(self._token if isinstance(self._token, str) else self._token())

    def _open(self, target: str) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(target, CHANNEL_OPTIONS)
        return grpc.secure_channel(target, self._credentials, CHANNEL_OPTIONS)
