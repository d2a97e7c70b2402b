"""Repetition of the clients' calls, against a real gRPC server that misbehaves on purpose."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from livecomments.backoff import Backoff
from livecomments.client import (
    AsyncLiveComments,
    Closed,
    CommentsPosted,
    Disconnected,
    FieldError,
    InvalidRequest,
    LiveComments,
    NotConfirmed,
    RateLimited,
    Snapshot,
    StreamEnded,
    Unavailable,
    blocking,
    following,
)
from livecomments.errors import RateLimit, Reason, Refusal, invalid
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import comment_service_pb2 as comment_pb
from livecomments.v1 import feed_service_pb2 as feed_pb
from livecomments.v1.comment_service_pb2_grpc import CommentServiceServicer, add_CommentServiceServicer_to_server
from livecomments.v1.feed_service_pb2_grpc import FeedServiceServicer, add_FeedServiceServicer_to_server
from tests.certificates import make_certificate

pytestmark = pytest.mark.anyio

Client = Callable[..., Any]
Context = Any


class Core(CommentServiceServicer):
    """Answers posts as it is told, one by one, and remembers them."""

    def __init__(self, *answers: Callable[[Context], Awaitable[None]] | None) -> None:
        self._answers = list(answers)
        self.requests: list[comment_pb.PostCommentRequest] = []
        self.asked = asyncio.Event()

    async def PostComment(self, request: comment_pb.PostCommentRequest, context: Context) -> Any:  # noqa: N802
        self.requests.append(request)
        self.asked.set()
        misbehave = self._answers.pop(0) if self._answers else None
        if misbehave is not None:
            await misbehave(context)
        return comment_pb.PostCommentResponse(comment=pb.Comment(comment_id="c1", text=request.text), cursor="e-1")


def refuse(refusal: Refusal) -> Callable[[Context], Awaitable[None]]:
    return lambda context: context.abort_with_status(refusal.to_status())


def abort(code: grpc.StatusCode) -> Callable[[Context], Awaitable[None]]:
    return lambda context: context.abort(code, "no details")


@asynccontextmanager
async def served(
    add: Callable[[Any, Any], None], servicer: object, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[str]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add(servicer, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def posting(client: Client, core: Core) -> AsyncIterator[Any]:
    async with served(add_CommentServiceServicer_to_server, core) as address, client(core=address, token="t") as live:
        yield live


@pytest.mark.parametrize(
    "failure",
    [
        refuse(Refusal(Reason.NOT_CONFIRMED)),
        refuse(Refusal(Reason.OVERLOADED)),
        abort(grpc.StatusCode.UNAVAILABLE),
        abort(grpc.StatusCode.CANCELLED),
    ],
)
async def test_a_post_is_repeated_under_one_request_id_until_it_is_answered(
    client: Client, failure: Callable[[Context], Awaitable[None]]
) -> None:
    core = Core(failure, failure)
    async with posting(client, core) as live:
        posted = await live.post("demo", "hi", meta={"a": 1})
    assert posted.comment.comment_id == "c1"
    assert len(core.requests) == 3
    assert len({request.request_id for request in core.requests}) == 1
    assert core.requests[0].meta_json == '{"a":1}'


async def test_a_refusal_that_stands_is_told_at_once_with_its_field(client: Client) -> None:
    core = Core(refuse(invalid("text", "too long")))
    async with posting(client, core) as live:
        with pytest.raises(InvalidRequest) as caught:
            await live.post("demo", "hi")
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.fields == (FieldError("text", "too long"),)
    assert caught.value.retry_after is None
    assert len(core.requests) == 1


async def test_who_posts_too_fast_is_told_when_to_come_back(client: Client) -> None:
    limit = RateLimit("user", 10, 10)
    core = Core(refuse(Refusal(Reason.USER_RATE, "slower", retry_after_ms=1_500, rate_limit=limit)))
    async with posting(client, core) as live:
        with pytest.raises(RateLimited) as caught:
            await live.post("demo", "hi")
    assert (caught.value.retry_after, caught.value.rate_limit) == (1.5, limit)
    assert len(core.requests) == 1


async def test_a_post_that_once_went_unanswered_stays_in_doubt_at_the_deadline(client: Client) -> None:
    core = Core(abort(grpc.StatusCode.UNAVAILABLE), *[refuse(Refusal(Reason.OVERLOADED, retry_after_ms=100))] * 100)
    async with posting(client, core) as live:
        with pytest.raises(NotConfirmed) as caught:
            await live.post("demo", "hi", deadline_s=2.5)
    assert len(core.requests) >= 2
    assert {request.request_id for request in core.requests} == {caught.value.request_id}


async def test_a_service_that_is_not_there_is_an_error_at_the_deadline(client: Client) -> None:
    async with served(add_CommentServiceServicer_to_server, Core()) as address:
        pass
    async with client(core=address) as live:
        with pytest.raises(Unavailable) as caught:
            await live.get_stream("demo", deadline_s=0.3)
    assert caught.value.reason is Reason.OVERLOADED


async def test_an_address_of_another_service_is_told_from_one_that_is_away(client: Client) -> None:
    async with served(add_CommentServiceServicer_to_server, Core()) as address, client(storage=address) as live:
        with pytest.raises(ValueError, match="the address of storage does not serve"):
            await live.recent("demo")


async def test_an_address_that_was_not_given_is_named(client: Client) -> None:
    async with client(core="127.0.0.1:1") as live:
        with pytest.raises(ValueError, match="storage"):
            await live.recent("demo")


async def test_a_closed_client_refuses(client: Client) -> None:
    live = client(core="127.0.0.1:1", fanout="127.0.0.1:1")
    await live.aclose()
    await live.aclose()
    with pytest.raises(Closed):
        await live.post("demo", "hi")
    with pytest.raises(Closed):
        live.watch("demo")


async def test_calls_go_over_tls_to_a_server_whose_certificate_is_trusted(client: Client, tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    chain = made.cert.read_bytes()
    server = grpc.ssl_server_credentials([(made.key.read_bytes(), chain)])
    async with served(add_CommentServiceServicer_to_server, Core(), server) as address:
        async with client(core=address, credentials=grpc.ssl_channel_credentials(chain)) as live:
            assert (await live.post("demo", "hi")).comment.text == "hi"
        async with client(core=address, credentials=grpc.ssl_channel_credentials()) as live:
            with pytest.raises(NotConfirmed):
                await live.post("demo", "hi", deadline_s=0.5)


async def test_a_cancelled_post_is_cancelled_not_refused() -> None:
    core = Core(lambda _: asyncio.sleep(60))
    async with posting(AsyncLiveComments, core) as live, asyncio.timeout(10):
        post = asyncio.create_task(live.post("demo", "hi"))
        await core.asked.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post


class Fanout(FeedServiceServicer):
    """A log of one comment a message, served a few messages a connection."""

    def __init__(self, texts: list[str], at_once: int, end: bool) -> None:
        self._texts = texts
        self._at_once = at_once
        self._end = end
        self.cursors: list[str] = []
        self.tokens: list[str] = []

    async def Watch(self, request: feed_pb.WatchRequest, context: Context) -> AsyncIterator[Any]:  # noqa: N802
        self.cursors.append(request.cursor)
        self.tokens.append(dict(context.invocation_metadata()).get("authorization", ""))
        seen = int(request.cursor.partition("-")[2] or 0)
        yield feed_pb.WatchResponse(snapshot=feed_pb.Snapshot(cursor=f"e-{seen}", recovered=bool(request.cursor)))
        for seq in range(seen + 1, min(seen + self._at_once, len(self._texts)) + 1):
            event = pb.Event(posted=pb.CommentPosted(comment=pb.Comment(text=self._texts[seq - 1])))
            yield _message(seq, event)
            # A sloppy server may send something twice.
            yield _message(seq, event)
        if self._end and seen + self._at_once >= len(self._texts):
            yield _message(len(self._texts) + 1, pb.Event(ended=pb.StreamEnded(ended_at_ms=9)))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


def _message(seq: int, event: pb.Event) -> feed_pb.WatchResponse:
    message = feed_pb.FeedMessage(seq=seq, events=pb.EventBatch(events=[event]))
    return feed_pb.WatchResponse(batch=feed_pb.FeedBatch(messages=[message]))


async def test_a_watch_resumes_by_cursor_and_tells_each_comment_once_until_the_end(client: Client) -> None:
    texts = [f"t{number}" for number in range(5)]
    fanout = Fanout(texts, at_once=2, end=True)
    fresh = iter(f"token{number}" for number in range(10))
    async with (
        served(add_FeedServiceServicer_to_server, fanout) as address,
        client(fanout=address, token=lambda: next(fresh)) as live,
        asyncio.timeout(20),
    ):
        events = [event async for event in live.watch("demo")]
    assert [c.text for event in events if isinstance(event, CommentsPosted) for c in event.comments] == texts
    assert fanout.cursors == ["", "e-2", "e-4"]
    assert fanout.tokens == ["Bearer token0", "Bearer token1", "Bearer token2"]
    assert [event.recovered for event in events if isinstance(event, Snapshot)] == [False, True, True]
    assert sum(isinstance(event, Disconnected) for event in events) == 2
    assert events[-1] == StreamEnded(9, "e-6")


async def test_a_token_may_be_awaited() -> None:
    async def fresh() -> str:
        await asyncio.sleep(0)
        return "fresh"

    fanout = Fanout(["t0"], at_once=1, end=True)
    async with (
        served(add_FeedServiceServicer_to_server, fanout) as address,
        AsyncLiveComments(fanout=address, token=fresh) as live,
        asyncio.timeout(20),
    ):
        assert isinstance([event async for event in live.watch("demo")][-1], StreamEnded)
    assert fanout.tokens == ["Bearer fresh"]


class Mute(FeedServiceServicer):
    """Says nothing to the first who asks; to later ones that the stream has ended."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def Watch(self, _: feed_pb.WatchRequest, __: Context) -> AsyncIterator[Any]:  # noqa: N802
        if not self.asked.is_set():
            self.asked.set()
            await asyncio.sleep(60)
        yield feed_pb.WatchResponse(snapshot=feed_pb.Snapshot(cursor="e-0"))
        yield _message(1, pb.Event(ended=pb.StreamEnded(ended_at_ms=9)))


async def test_a_feed_that_stays_silent_is_left_for_another_connection(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (following, blocking):
        monkeypatch.setattr(module, "FIRST_MAX_S", 0.3)
    async with (
        served(add_FeedServiceServicer_to_server, Mute()) as address,
        client(fanout=address) as live,
        asyncio.timeout(20),
    ):
        events = [event async for event in live.watch("demo")]
    assert [type(event) for event in events] == [Disconnected, Snapshot, StreamEnded]


async def rest(watch: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in watch]


@pytest.mark.parametrize("closed", ["watch", "client"])
async def test_closing_ends_a_watch_that_somebody_waits_for(client: Client, closed: str) -> None:
    mute = Mute()
    async with (
        served(add_FeedServiceServicer_to_server, mute) as address,
        client(fanout=address) as live,
        asyncio.timeout(20),
    ):
        watch = live.watch("demo")
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(rest(watch))
            await mute.asked.wait()
            await (watch if closed == "watch" else live).aclose()
        assert waiting.result() == await rest(watch) == []


async def test_waiting_for_an_event_may_be_given_up_without_losing_one() -> None:
    class Slow(FeedServiceServicer):
        """Says the next thing when it is told to."""

        def __init__(self) -> None:
            self.go = asyncio.Event()

        async def Watch(self, _: feed_pb.WatchRequest, __: Context) -> AsyncIterator[Any]:  # noqa: N802
            yield feed_pb.WatchResponse(snapshot=feed_pb.Snapshot(cursor="e-0"))
            await self.go.wait()
            yield _message(1, pb.Event(ended=pb.StreamEnded(ended_at_ms=9)))

    slow = Slow()
    async with (
        served(add_FeedServiceServicer_to_server, slow) as address,
        AsyncLiveComments(fanout=address) as live,
        live.watch("demo") as watch,
        asyncio.timeout(20),
    ):
        assert isinstance(await anext(watch), Snapshot)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(watch), 0.05)
        slow.go.set()
        assert [event async for event in watch] == [StreamEnded(9, "e-1")]


async def test_a_watch_that_is_let_go_leaves_its_server() -> None:
    class Patient(FeedServiceServicer):
        """Notices who leaves."""

        def __init__(self) -> None:
            self.left = asyncio.Event()

        async def Watch(self, _: feed_pb.WatchRequest, __: Context) -> AsyncIterator[Any]:  # noqa: N802
            yield feed_pb.WatchResponse(snapshot=feed_pb.Snapshot(cursor="e-0"))
            try:
                await asyncio.sleep(60)
            finally:
                self.left.set()

    def look(live: LiveComments) -> None:
        for _ in live.watch("demo"):
            break

    patient = Patient()
    async with served(add_FeedServiceServicer_to_server, patient) as address, asyncio.timeout(10):
        with LiveComments(fanout=address) as live:
            await asyncio.to_thread(look, live)
            await patient.left.wait()
        patient.left.clear()
        async with AsyncLiveComments(fanout=address) as live:
            async for _ in live.watch("demo"):
                break
            await patient.left.wait()


def test_pauses_double_up_to_a_bound_and_begin_again() -> None:
    backoff = Backoff(first_s=1, most_s=4, uniform=max)
    pauses = [backoff.next_s() for _ in range(4)]
    backoff.reset()
    assert [*pauses, backoff.next_s(), backoff.next_s(least_s=10)] == [1, 2, 4, 4, 1, 15]
