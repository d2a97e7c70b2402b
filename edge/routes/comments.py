"""Comments: post, subscribe, replay, recent."""

from quart import Blueprint, Response, request

from edge.headers import feed_encoding
from edge.intake import draft_of, post_and_wait, posted_shape
from edge.polling import WAIT_MAX_S, PollWish, poll
from edge.requests import Query
from edge.routes.answers import answer, page_answer
from edge.routes.event_stream import answer_feed
from edge.routes.watching import watch_here
from edge.server import hand_off_connection
from edge.state import asking_of, body, identify, on_behalf, sender_address, this_edge
from edge.subscribe import SUBSCRIBE_PARAMETERS, Wish, read_cursor, read_selection
from edge.tickets import PARAMETER, Purpose
from livecomments.errors import Refusal
from livecomments.v1 import history_service_pb2 as history

comments = Blueprint("comments", __name__)

_HOUR_MS = 3_600_000
_YEARS_MS = 999_999_999_000


@comments.post("/v1/streams/<stream_id>/comments")
async def post_comment(stream_id: str) -> Response:
    """Posts one comment; 202 once it is durable."""
    edge = this_edge()
    author = identify()
    key, data = request.headers.get("Idempotency-Key"), await body()
    posted = await post_and_wait(edge, author, sender_address(), stream_id, draft_of(key, data))
    return answer(posted_shape(posted), 202)


@comments.get("/v1/streams/<stream_id>/comments/subscribe")
async def subscribe(stream_id: str) -> Response:
    """The feed as server-sent events."""
    edge = this_edge()
    query = Query(request.args.to_dict(flat=False), SUBSCRIBE_PARAMETERS)
    cursor = read_cursor(request.headers.get("Last-Event-ID"), query)
    wish = Wish(cursor, feed_encoding(request.headers.get("Accept-Encoding")), read_selection(query))
    holder = edge.ticket_holder(asking_of(request.headers), query.text(PARAMETER), stream_id, Purpose.SUBSCRIBE)
    feed = watch_here(edge, holder or identify(), stream_id, wish, hand_off_connection())
    return await answer_feed(feed, wish.encoding)


@comments.get("/v1/streams/<stream_id>/comments")
async def replay(stream_id: str) -> Response:
    """A window of the recording's timeline; with ``since`` instead, what came after a cursor."""
    if "since" in request.args:
        return await _poll(stream_id)
    query = Query(request.args.to_dict(flat=False), frozenset({"start_time", "duration", "limit", "pagination_token"}))
    wanted = history.ListCommentsRequest(
        stream_id=stream_id,
        start_offset_ms=query.milliseconds("start_time", 0, 0, _YEARS_MS),
        duration_ms=query.milliseconds("duration", 60_000, 1, _HOUR_MS),
        page_size=query.integer("limit", 200, 1, 1_000),
        page_token=query.text("pagination_token"),
    )
    return page_answer(await this_edge().pages.replay(wanted, on_behalf()))


async def _poll(stream_id: str) -> Response:
    edge = this_edge()
    edge.require_not_draining()
    query = Query(request.args.to_dict(flat=False), frozenset({"since", "wait", "limit", "all"}))
    wait_s = query.milliseconds("wait", 25_000, 0, WAIT_MAX_S * 1000) / 1000
    limit = query.integer("limit", 200, 1, 1_000)
    wish = PollWish(query.text("since"), read_selection(query), wait_s, limit)
    return answer(await poll(edge.feeds, identify(), stream_id, wish))


@comments.get("/v1/streams/<stream_id>/comments/recent")
async def recent(stream_id: str) -> Response:
    """The latest comments, and backwards from there."""
    query = Query(request.args.to_dict(flat=False), frozenset({"limit", "cursor"}))
    wanted = history.ListRecentCommentsRequest(
        stream_id=stream_id, page_size=query.integer("limit", 100, 1, 200), page_token=query.text("cursor")
    )
    try:
        page = await this_edge().recent.read(wanted, identify(), on_behalf())
    except Refusal as refusal:
        raise refusal.renamed({"page_token": "cursor"}) from refusal
    return page_answer(page)
