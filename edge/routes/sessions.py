"""Many streams on one connection: open it, add and drop streams while it is open."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

import trio
from quart import Blueprint, Response, request

from edge import metrics, passing
from edge.composite import CompositeCursor, Places
from edge.encodings.sse import SSE
from edge.passing import NoSuchProcess, pass_on
from edge.requests import Query
from edge.routes.event_stream import answer_feed
from edge.server import abort_connection, hand_off_connection
from edge.session import no_session
from edge.sessions import process_of
from edge.state import Edge, authorization, identify, this_edge
from livecomments.cursor import BadCursor
from livecomments.errors import Reason, Refusal, invalid
from livecomments.stream_ids import check_stream_id
from livecomments.tokens import Identity

sessions = Blueprint("sessions", __name__)

CHANGE_S = 4.0
"""How long adding or dropping a stream may take, with those before it. Less than PASS_ON_S: what was done is told."""
_OUR_OWN = frozenset({"x-content-type-options", "vary"})
"""Headers that every answer of ours is given anyway."""


@sessions.get("/v1/events")
async def watch_many() -> Response:
    """The feeds of several streams as server-sent events."""
    edge = this_edge()
    return await answer_feed(_events(edge, identify(), _read_places(edge.settings.edge_session_max_streams)), SSE)


async def _events(edge: Edge, identity: Identity, places: Places) -> AsyncGenerator[bytes]:
    edge.require_room()
    hand_off = hand_off_connection()
    with edge.sessions.new(identity, places, edge.stay(identity), abort_connection()) as session:
        edge.ordinary_viewers += 1
        try:
            viewer = await session.open(edge.feeds)
            async with aclosing(viewer.chunks(edge.settings.edge_heartbeat_s)) as chunks:
                async for data in chunks:
                    yield data
                    # What was yielded has been written; nothing may come between this and the seat.
                    if hand_off is not None and session.may_be_seated():
                        if (fd := hand_off()) is not None:
                            session.seat(edge.broadcast, fd)
                        return
        finally:
            edge.ordinary_viewers -= 1


@sessions.put("/v1/sessions/<session_id>/streams/<stream_id>")
async def add_stream(session_id: str, stream_id: str) -> Response:
    """Adds a stream to an open session; its snapshot comes on the session's connection."""
    check_stream_id(stream_id)
    edge = this_edge()
    if (answer := await _answer_of_its_process(edge, session_id, stream_id)) is not None:
        return answer
    session = edge.sessions.find(session_id, identify())
    with trio.move_on_after(CHANGE_S) as change:
        await session.add(edge.feeds, stream_id)
    return _done(change)


@sessions.delete("/v1/sessions/<session_id>/streams/<stream_id>")
async def drop_stream(session_id: str, stream_id: str) -> Response:
    """Drops a stream from an open session."""
    check_stream_id(stream_id)
    edge = this_edge()
    if (answer := await _answer_of_its_process(edge, session_id, stream_id)) is not None:
        return answer
    session = edge.sessions.find(session_id, identify())
    with trio.move_on_after(CHANGE_S) as change:
        await session.drop(stream_id)
    return _done(change)


async def _answer_of_its_process(edge: Edge, session_id: str, stream_id: str) -> Response | None:
    """What the process says that the session's id names; None when that is this one.

    The call goes no further from there: whoever listens at a process's address bears its name.
    """
    address = edge.workers.address(process_of(session_id))
    if address is None:
        return None
    found = authorization()
    headers = [] if found is None else [("Authorization", found)]
    target = f"/v1/sessions/{quote(session_id, safe='')}/streams/{stream_id}"
    try:
        answer = await pass_on(address, passing.Request(request.method, target, headers))
    except NoSuchProcess:
        raise no_session() from None
    finally:
        metrics.passed_on.inc()
    response = Response(answer.body, answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.headers:
        if name.lower() not in _OUR_OWN:
            response.headers.add(name, value)
    return response


def _done(change: trio.CancelScope) -> Response:
    if change.cancelled_caught:
        raise Refusal(Reason.OVERLOADED, "the feed is not reachable; nothing was changed", retry_after_ms=1_000)
    return Response(b"", 204)


def _read_places(most: int) -> Places:
    """Which streams are asked for, and from where on; a cursor says both."""
    parameters = request.args.to_dict(flat=False)
    named = list(dict.fromkeys(parameters.pop("stream", ())))
    query = Query(parameters, frozenset({"last_event_id"}))
    given = [text for text in (request.headers.get("Last-Event-ID"), query.text("last_event_id")) if text]
    cursors = [_read_cursor(text) for text in given]
    places = cursors[0] if cursors else dict.fromkeys(named)
    if not cursors and not named:
        raise invalid("stream", "name a stream, or several: stream=a&stream=b")
    for stream_id in named:
        _check_named(stream_id)
    if len(places) > most:
        raise invalid("stream", f"a session has at most {most} streams")
    return places


def _read_cursor(text: str) -> Places:
    try:
        return CompositeCursor.parse(text).places
    except BadCursor as error:
        raise Refusal(Reason.BAD_CURSOR, "Last-Event-ID is not a cursor of /v1/events") from error


def _check_named(stream_id: str) -> None:
    try:
        check_stream_id(stream_id)
    except Refusal as refusal:
        raise invalid("stream", refusal.fields[0].detail) from refusal
