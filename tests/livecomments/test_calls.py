"""Repetition of the client's calls, against a real gRPC server that misbehaves on purpose."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from livecomments.backoff import Backoff
from livecomments.client import CommentsPosted, Disconnected, LiveComments, Refusal, Snapshot, StreamEnded
from livecomments.errors import Reason, invalid
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import comment_service_pb2 as comment_pb
from livecomments.v1 import feed_service_pb2 as feed_pb
from livecomments.v1.comment_service_pb2_grpc import CommentServiceServicer, add_CommentServiceServicer_to_server
from livecomments.v1.feed_service_pb2_grpc import FeedServiceServicer, add_FeedServiceServicer_to_server

pytestmark = pytest.mark.anyio

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
async def served(add: Callable[[Any, Any], None], servicer: object, port: int = 0) -> AsyncIterator[str]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def client_of(core: Core) -> AsyncIterator[LiveComments]:
    async with (
        served(add_CommentServiceServicer_to_server, core) as address,
        LiveComments(core=address, token="t") as live,
    ):
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
    failure: Callable[[Context], Awaitable[None]],
) -> None:
    core = Core(failure, failure)
    async with client_of(core) as live:
        posted = await live.post("demo", "hi", meta={"a": 1})
    assert posted.comment.comment_id == "c1"
    assert len(core.requests) == 3
    assert len({request.request_id for request in core.requests}) == 1
    assert core.requests[0].meta_json == '{"a":1}'


async def test_a_refusal_that_stands_is_told_at_once_with_its_field() -> None:
    core = Core(refuse(invalid("text", "too long")))
    async with client_of(core) as live:
        with pytest.raises(Refusal) as caught:
            await live.post("demo", "hi")
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.fields[0].field == "text"
    assert len(core.requests) == 1


async def test_a_post_that_once_went_unanswered_stays_in_doubt_at_the_deadline() -> None:
    core = Core(abort(grpc.StatusCode.UNAVAILABLE), *[refuse(Refusal(Reason.OVERLOADED, retry_after_ms=100))] * 100)
    async with client_of(core) as live:
        with pytest.raises(Refusal) as caught:
            await live.post("demo", "hi", deadline_s=2.5)
    assert caught.value.reason is Reason.NOT_CONFIRMED
    assert len(core.requests) >= 2


async def test_a_service_that_is_not_there_is_a_refusal_at_the_deadline() -> None:
    async with served(add_CommentServiceServicer_to_server, Core()) as address:
        pass
    async with LiveComments(core=address) as live:
        with pytest.raises(Refusal) as caught:
            await live.stream("demo", deadline_s=0.3)
    assert caught.value.reason is Reason.OVERLOADED


async def test_a_cancelled_post_is_cancelled_not_refused() -> None:
    core = Core(lambda _: asyncio.sleep(60))
    async with client_of(core) as live, asyncio.timeout(10):
        post = asyncio.create_task(live.post("demo", "hi"))
        await core.asked.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post


async def test_an_address_that_was_not_given_is_named() -> None:
    async with LiveComments(core="127.0.0.1:1") as live:
        with pytest.raises(ValueError, match="storage"):
            await live.recent("demo")


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


async def test_a_watch_resumes_by_cursor_and_tells_each_comment_once_until_the_end() -> None:
    texts = [f"t{number}" for number in range(5)]
    fanout = Fanout(texts, at_once=2, end=True)
    fresh = iter(f"token{number}" for number in range(10))
    async with (
        served(add_FeedServiceServicer_to_server, fanout) as address,
        LiveComments(fanout=address, token=lambda: next(fresh)) as live,
        asyncio.timeout(20),
    ):
        events = [event async for event in live.watch("demo")]
    assert [c.text for event in events if isinstance(event, CommentsPosted) for c in event.comments] == texts
    assert fanout.cursors == ["", "e-2", "e-4"]
    assert fanout.tokens == ["Bearer token0", "Bearer token1", "Bearer token2"]
    assert [event.recovered for event in events if isinstance(event, Snapshot)] == [False, True, True]
    assert sum(isinstance(event, Disconnected) for event in events) == 2
    assert events[-1] == StreamEnded(9, "e-6")


def test_pauses_double_up_to_a_bound_and_begin_again() -> None:
    backoff = Backoff(first_s=1, most_s=4, uniform=max)
    pauses = [backoff.next_s() for _ in range(4)]
    backoff.reset()
    assert [*pauses, backoff.next_s(), backoff.next_s(least_s=10)] == [1, 2, 4, 4, 1, 15]
