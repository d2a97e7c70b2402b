"""gRPC-web: what the services offer, for browsers and phones.

Whatever a call comes to, the HTTP status is 200: the trailers at the end of the body say how it went.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

import grpc
import trio
from google.protobuf.message import Message
from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType

from edge import metrics
from edge.encodings.grpc_web import ENCODINGS
from edge.grpc_web import Forms, WireForm, forms_of, timeout_s
from edge.headers import feed_headers
from edge.intake import post_and_wait
from edge.problems import unexpected
from edge.routes.streams import read_stream
from edge.routes.watching import chained, watch_here
from edge.server import hand_off_connection
from edge.state import body, identify, on_behalf, sender_address, this_edge
from edge.subscribe import NothingMore
from edge.watch import PATH, read_watch
from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as comment_rpc
from livecomments.v1 import history_service_pb2 as history
from livecomments.v1 import stream_service_pb2 as stream_rpc

grpc_web = Blueprint("grpc_web", __name__)

M = TypeVar("M", bound=Message)
Unary = Callable[[Forms, bytes], Awaitable[bytes]]
"""A call with one answer: from a request's body to the answer's. Raises Refusal."""


# -- one answer --


@grpc_web.post("/livecomments.v1.<service>/<method>")
async def answer_once(service: str, method: str) -> Response:
    """One message for one."""
    forms = _asked_forms()
    try:
        with _as_refusals():
            return _response(await _answer_once(f"{service}/{method}", forms), forms.answered)
    except Refusal as refusal:
        return _response(forms.answered.refusal(refusal), forms.answered)


async def _answer_once(name: str, forms: Forms) -> bytes:
    began = trio.current_time()
    asked = await body()
    seconds = timeout_s(request.headers.get("grpc-timeout"))
    unary = UNARY.get(name)
    if unary is None:
        return forms.answered.failure(grpc.StatusCode.UNIMPLEMENTED, f"{request.path} can't be called at an edge")
    with trio.move_on_at(math.inf if seconds is None else began + seconds):
        # What is too late already is not begun.
        await trio.lowlevel.checkpoint_if_cancelled()
        return await unary(forms, asked)
    return _late(forms.answered)


def _unary(form: type[M], answer: Callable[[M], Awaitable[Message]]) -> Unary:
    async def call(forms: Forms, asked: bytes) -> bytes:
        message = await answer(forms.asked.request(asked, form))
        return forms.answered.message(message) + forms.answered.end()

    return call


async def _post_comment(asked: comment_rpc.PostCommentRequest) -> Message:
    return await post_and_wait(this_edge(), identify(), sender_address(), asked.stream_id, lambda p: p.CopyFrom(asked))


async def _list_comments(asked: history.ListCommentsRequest) -> Message:
    return (await this_edge().pages.replay(asked, on_behalf())).message


async def _list_recent_comments(asked: history.ListRecentCommentsRequest) -> Message:
    return (await this_edge().recent.read(asked, identify(), on_behalf())).message


UNARY = {
    "CommentService/PostComment": _unary(comment_rpc.PostCommentRequest, _post_comment),
    "HistoryService/ListComments": _unary(history.ListCommentsRequest, _list_comments),
    "HistoryService/ListRecentComments": _unary(history.ListRecentCommentsRequest, _list_recent_comments),
    "StreamService/GetStream": _unary(stream_rpc.GetStreamRequest, read_stream),
}
"""What may be called, by service and method. It does what the HTTP routes do, and what they call decides."""


# -- the feed --


@grpc_web.post(PATH)
async def watch() -> Response:
    """The feed, as ``WatchResponse`` messages."""
    forms = _asked_forms()
    try:
        with _as_refusals():
            return _response(await _watch(forms), forms.answered)
    except NothingMore:
        metrics.joins.labels("over").inc()
        return _response(forms.answered.end(), forms.answered)
    except Refusal as refusal:
        metrics.joins.labels(refusal.reason).inc()
        return _response(forms.answered.refusal(refusal), forms.answered)


async def _watch(forms: Forms) -> AsyncIterator[bytes]:
    """What the body of the response is. Raises Refusal, NothingMore."""
    edge = this_edge()
    began = trio.current_time()
    call = read_watch(forms, await body())
    seconds = timeout_s(request.headers.get("grpc-timeout"))
    # Who is seated has no deadline of its own.
    hand_off = hand_off_connection() if seconds is None else None
    feed = watch_here(edge, identify(), call.stream_id, call.wish, hand_off)
    if seconds is not None:
        feed = _until(began + seconds, feed, forms.answered)
    first = await anext(feed)
    metrics.joins.labels("accepted").inc()
    return chained(first, feed)


async def _until(deadline: float, feed: AsyncGenerator[bytes], form: WireForm) -> AsyncGenerator[bytes]:
    """The feed up to a deadline of the caller's, trio's clock; then it is told that this has passed."""
    async with aclosing(feed):
        while True:
            data = None
            with trio.move_on_at(deadline) as scope:
                data = await anext(feed, None)
            if scope.cancelled_caught:
                yield _late(form)
            if data is None:
                return
            yield data


# -- both --


def _asked_forms() -> Forms:
    forms = forms_of(request.headers.get("Content-Type"), request.headers.get("Accept"))
    if forms is None:
        raise UnsupportedMediaType
    return forms


def _late(form: WireForm) -> bytes:
    return form.failure(grpc.StatusCode.DEADLINE_EXCEEDED, "the call's own deadline has passed")


@contextmanager
def _as_refusals() -> Iterator[None]:
    """What goes wrong within, but for what HTTP itself answers, as a Refusal."""
    try:
        yield
    except (Refusal, NothingMore):
        raise
    except RequestEntityTooLarge:
        raise Refusal(Reason.BODY_TOO_LARGE, "the body is too large") from None
    except HTTPException:
        raise
    except Exception as error:
        raise unexpected(error, request.path) from error


def _response(data: AsyncIterator[bytes] | bytes, form: WireForm) -> Response:
    encoding = ENCODINGS[form]
    response = Response(data, content_type=encoding.content_type)
    response.timeout = None
    for name, value in feed_headers(encoding):
        response.headers[name] = value
    return response
