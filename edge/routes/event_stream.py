"""A feed of server-sent events as a response."""

import random
from collections.abc import AsyncGenerator, AsyncIterator

from quart import Response, request

from edge import metrics
from edge.encodings import Encoding
from edge.encodings.sse import CONTENT_TYPE, SSE
from edge.headers import feed_headers
from edge.routes.watching import chained
from edge.subscribe import NothingMore
from livecomments.calls import is_passing
from livecomments.errors import Refusal


async def answer_feed(feed: AsyncGenerator[bytes], encoding: Encoding) -> Response:
    """The response that ``feed`` writes, once it is known how it begins.

    204 for NothingMore. A Refusal is raised on, but an EventSource that may come back is told when.
    """
    try:
        first = await anext(feed)
    except NothingMore:
        metrics.joins.labels("over").inc()
        return Response(b"", 204)
    except Refusal as refusal:
        metrics.joins.labels(refusal.reason).inc()
        if is_passing(refusal):
            return come_back(refusal)
        raise
    metrics.joins.labels("accepted").inc()
    return _event_stream(chained(first, feed), encoding)


def come_back(refusal: Refusal) -> Response:
    """A native EventSource gives up for good on any status but 200: it is told when to come back instead."""
    is_event_source = request.headers.get("Accept") == CONTENT_TYPE and "Sec-Fetch-Mode" in request.headers
    if not is_event_source:
        raise refusal
    return _event_stream(_once(SSE.begin(refusal.retry_after_ms + random.randint(0, 2_000))), SSE)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _event_stream(data: AsyncIterator[bytes], encoding: Encoding) -> Response:
    response = Response(data, content_type=CONTENT_TYPE)
    response.timeout = None
    for name, value in feed_headers(encoding):
        response.headers[name] = value
    return response
