"""gRPC-web: what the services offer, for browsers and phones.

Whatever a call comes to, the HTTP status is 200: the trailers at the end of the body say how it went.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import grpc
import trio
from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType

from edge import metrics
from edge.encodings import Encoding
from edge.encodings.grpc_web import ENCODINGS
from edge.grpc_web import Forms, WireForm, forms_of, timeout_s
from edge.headers import feed_headers
from edge.problems import unexpected
from edge.routes.watching import chained, watch_here
from edge.server import hand_off_connection
from edge.state import body, identify, this_edge
from edge.subscribe import NothingMore
from edge.watch import PATH, read_watch
from livecomments.errors import Reason, Refusal

grpc_web = Blueprint("grpc_web", __name__)


@grpc_web.post(PATH)
async def watch() -> Response:
    """The feed, as ``WatchResponse`` messages."""
    forms = forms_of(request.headers.get("Content-Type"), request.headers.get("Accept"))
    if forms is None:
        raise UnsupportedMediaType
    encoding = ENCODINGS[forms.answered]
    try:
        return _answer(await _watch(forms), encoding)
    except NothingMore:
        metrics.joins.labels("over").inc()
        return _answer(encoding.tail, encoding)
    except Refusal as refusal:
        return _refused(refusal, encoding, forms.answered)
    except RequestEntityTooLarge:
        return _refused(Refusal(Reason.BODY_TOO_LARGE, "the body is too large"), encoding, forms.answered)
    except HTTPException:
        raise
    except Exception as error:
        return _refused(unexpected(error, request.path), encoding, forms.answered)


async def _watch(forms: Forms) -> AsyncIterator[bytes] | bytes:
    """What the body of the response is. Raises Refusal, NothingMore."""
    edge = this_edge()
    call = read_watch(forms, await body())
    seconds = timeout_s(request.headers.get("grpc-timeout"))
    # Who is seated has no deadline of its own.
    hand_off = hand_off_connection() if seconds is None else None
    feed = watch_here(edge, identify(), call.stream_id, call.wish, hand_off)
    if seconds is not None:
        feed = _until(trio.current_time() + seconds, feed, forms.answered)
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
                yield form.failure(grpc.StatusCode.DEADLINE_EXCEEDED, "the call's own deadline has passed")
            if data is None:
                return
            yield data


def _refused(refusal: Refusal, encoding: Encoding, form: WireForm) -> Response:
    metrics.joins.labels(refusal.reason).inc()
    response = _answer(form.refusal(refusal), encoding)
    if refusal.reason is Reason.BODY_TOO_LARGE and request.http_version.startswith("1"):
        # It was not read to its end: the connection goes with it, and the client must know.
        response.headers["Connection"] = "close"
    return response


def _answer(data: AsyncIterator[bytes] | bytes, encoding: Encoding) -> Response:
    response = Response(data, content_type=encoding.content_type)
    response.timeout = None
    for name, value in feed_headers(encoding):
        response.headers[name] = value
    return response
