"""One connection's streams: which they are, and what is told of them.

Where a single feed's viewers take the same bytes, a session's differ by their ids: it has a section of its own, with
one descriptor in it. What a stream's audience shows is filled in for each of its sessions and goes out in one write.

The cursor says which streams a session has, not only where it stands in them. An EventSource comes back with the
address that it was opened by: a stream that was added meanwhile must come back, one that was dropped must stay away.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from edge.audience import Viewer, farewells
from edge.broadcast import Broadcast
from edge.composite import MovingCursor, Places
from edge.encodings import Encoding
from edge.encodings.session import fill_in, has_cursor, session_event, stream_events
from edge.encodings.sse import SSE
from edge.expiry import Stay
from edge.feeds import Feeds, Topic
from edge.sampling import Selection
from edge.section import Section
from edge.subscribe import Admission, NothingMore, Wish, admit
from livecomments.cursor import Cursor
from livecomments.errors import FieldError, Reason, Refusal, invalid
from livecomments.tokens import Identity


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session."""

    streams: int
    backlog_bytes: int
    """What may wait for it."""
    resume_bytes: int
    """What its streams may bring together when it comes back; those over that begin afresh."""


class SessionSeat:
    """A session's place in the audience of one of its streams."""

    __slots__ = ("_session", "encoding", "selection", "skip_through", "topic")

    def __init__(self, session: "Session", topic: Topic, encoding: Encoding, skip_through: int) -> None:
        self._session = session
        self.topic = topic
        self.encoding = encoding
        self.selection = Selection.SAMPLE
        self.skip_through = skip_through
        """Windows up to this seq were seen already: the cursor was ahead of this edge."""

    def write(self, form: bytes) -> None:
        if not form:
            return
        self._session.show(self.topic.stream_id, form)
        if has_cursor(form):
            # What is shown lies behind it, or is a snapshot that replaces everything, perhaps of another epoch.
            self.skip_through = 0

    def end(self) -> None:
        """The stream has ended, or is not there any more."""
        memory = self.topic.memory
        self._session.lose(self.topic.stream_id, is_over=memory is not None and memory.has_ended)


class Session:
    """One connection's streams. Made by ``Sessions``; every method but ``open``, ``add`` and ``drop`` is instant."""

    __slots__ = (
        "_allowance", "_begun_with", "_changing", "_closed", "_cursor", "_has_shown", "_is_over", "_limits",
        "_resumed_bytes", "_seats", "_section", "_viewer", "id", "identity", "is_closed",
    )  # fmt: skip

    def __init__(
        self,
        session_id: str,
        identity: Identity,
        places: Places,
        limits: SessionLimits,
        *,
        stay: Stay,
        abort: Callable[[], None],
        closed: Callable[["Session"], None],
    ) -> None:
        self.id = session_id
        self.identity = identity
        """Who opened it: says what it may watch, and who may change it."""
        self._begun_with = dict(places)
        self._cursor = MovingCursor(places)
        self._limits = limits
        self._seats: dict[str, SessionSeat] = {}
        self._viewer: Viewer | None = Viewer(SSE, Selection.SAMPLE, b"", limits.backlog_bytes, abort, stay=stay)
        self._section: Section | None = None
        self._closed = closed
        self._changing = trio.Lock()
        self._resumed_bytes = 0
        self._allowance = 0
        self._has_shown = False
        self._is_over = False
        self.is_closed = False

    # -- which streams --

    async def open(self, feeds: Feeds) -> Viewer:
        """Begins all streams, each at its place. Gives what to serve the connection from until it is handed off.

        Raises the Refusal of the first stream that is refused, with its name, or NothingMore when all have ended and
        were seen to their ends. Then, or when it is cancelled, the session is to be closed.
        """
        viewer = self._viewer
        assert viewer is not None
        self._send(SSE.begin(random.randint(500, 2_500)))
        self._tell_streams()
        refusals: list[Refusal] = []

        async def begin(stream_id: str, cursor: Cursor | None) -> None:
            try:
                await self._begin(feeds, stream_id, cursor)
            except Refusal as refusal:
                refusals.append(refusal)
                together.cancel_scope.cancel()

        async with trio.open_nursery() as together:
            for stream_id, cursor in self._begun_with.items():
                together.start_soon(begin, stream_id, cursor)
        # One that was dismissed meanwhile has its farewell to say.
        if refusals and not self.is_closed:
            raise refusals[0]
        if self._is_over and not self._has_shown:
            raise NothingMore
        self._begun_with.clear()
        return viewer

    async def add(self, feeds: Feeds, stream_id: str) -> None:
        """Begins one more stream, with its snapshot; does nothing when it is there already.

        Raises Refusal, and then nothing has changed: the stream's own, INVALID_FIELD when there are too many,
        SESSION_NOT_FOUND when the session ends meanwhile. Nothing has changed either when it is cancelled.
        """
        async with self._changing:
            self._require_open()
            if stream_id in self._seats:
                return
            if len(self._cursor) >= self._limits.streams:
                raise invalid("stream_id", f"a session has at most {self._limits.streams} streams")
            await self._begin(feeds, stream_id, None)

    async def drop(self, stream_id: str) -> None:
        """Ends one stream here; does nothing when it is not there. Raises Refusal(SESSION_NOT_FOUND)."""
        async with self._changing:
            self._require_open()
            if stream_id in self._seats:
                self._forget(stream_id)

    def _require_open(self) -> None:
        if self.is_closed:
            raise no_session()

    async def _begin(self, feeds: Feeds, stream_id: str, cursor: Cursor | None) -> None:
        try:
            if cursor is None or not await self._begin_at(feeds, stream_id, str(cursor)):
                await self._begin_at(feeds, stream_id, "")
        except NothingMore:
            self.lose(stream_id, is_over=True)
        except Refusal as refusal:
            raise _of_stream(refusal, stream_id) from refusal

    async def _begin_at(self, feeds: Feeds, stream_id: str, cursor: str) -> bool:
        """False when it would bring more than a session may resume."""
        async with admit(feeds, self.identity, stream_id, Wish(cursor, stream_events(stream_id))) as admission:
            self._require_open()
            may_enter = not cursor or self._may_resume(len(admission.first))
            if may_enter:
                self._enter(stream_id, admission)
            return may_enter

    def _may_resume(self, size: int) -> bool:
        self._resumed_bytes += size
        return self._resumed_bytes <= self._limits.resume_bytes

    def _enter(self, stream_id: str, admission: Admission) -> None:
        # No await may stand between the decision and the audience: nothing is left out, nothing comes twice.
        if stream_id not in self._cursor:
            self._cursor.add(stream_id)
            self._tell_streams()
        self._has_shown = True
        seat = SessionSeat(self, admission.topic, admission.wish.encoding, admission.skip_through)
        self._seats[stream_id] = seat
        admission.topic.audience.attach(seat)
        self._allow(len(admission.first))
        self.show(stream_id, admission.first)
        if admission.is_over:
            self.lose(stream_id, is_over=True)

    # -- what is told --

    def show(self, stream_id: str, form: bytes) -> None:
        """Tells what happened in one stream, as ``stream_events`` writes it."""
        self._send(fill_in(form, lambda place: self._cursor.move(stream_id, place)))

    def lose(self, stream_id: str, *, is_over: bool) -> None:
        """A stream ends by itself. With the last one the session is over, too."""
        if self.is_closed:
            return
        if not is_over:
            # As a single feed does: who comes back is told why, or has it again.
            self.dismiss(random.randint(500, 2_500))
        elif len(self._cursor) > 1:
            self._forget(stream_id)
        else:
            # Its cursor stays the last: who comes back with it has seen everything.
            self._is_over = True
            self._finish(SSE.tail)

    def dismiss(self, retry_ms: int) -> None:
        """Sends it away, telling it when to come back."""
        self._finish(SSE.farewell(retry_ms))

    def _forget(self, stream_id: str) -> None:
        self._cursor.drop(stream_id)
        seat = self._seats.pop(stream_id, None)
        if seat is not None:
            seat.topic.audience.detach(seat)
        self._tell_streams()

    def _tell_streams(self) -> None:
        self._send(session_event(self.id, sorted(self._cursor), self._cursor.text()))

    # -- where it is told --

    def may_be_seated(self) -> bool:
        """Whether it is worth a descriptor: nothing is about to end it."""
        return not self.is_closed and self._viewer is not None and not self._viewer.is_leaving

    def seat(self, broadcast: Broadcast, fd: int) -> None:
        """Turns it into a descriptor, which is closed here."""
        viewer, self._viewer = self._viewer, None
        assert viewer is not None
        self._section = Section(broadcast, SSE.frame(SSE.heartbeat), farewells(SSE), emptied=self.close)
        self._allowance = 0
        self._section.seat(fd, SSE.frame(viewer.take()), stay=viewer.stay)

    def close(self) -> None:
        """Leaves all audiences; nothing is told any more."""
        if not self.is_closed:
            self.is_closed = True
            for seat in self._seats.values():
                seat.topic.audience.detach(seat)
            self._seats.clear()
            self._closed(self)

    @property
    def is_seated(self) -> bool:
        """A descriptor holds it now."""
        return self._section is not None

    def _allow(self, size: int) -> None:
        """What a stream begins with is its own allowance: joining must not count as being behind."""
        # All that a session begins with comes at once; what is added later comes one by one.
        self._allowance = self._allowance + size if self._begun_with else max(self._allowance, size)
        if self._section is not None:
            self._section.allowance = self._allowance
        elif self._viewer is not None:
            self._viewer.allowance = self._allowance

    def _send(self, data: bytes) -> None:
        if self.is_closed:
            return
        if self._section is not None:
            self._section.push(SSE.frame(data))
        elif self._viewer is not None:
            self._viewer.write(data)

    def _finish(self, last: bytes) -> None:
        if self._section is not None:
            self._section.end(SSE.frame(last) + SSE.last_frame)
        elif self._viewer is not None:
            self._viewer.end(last)
        self.close()


def no_session() -> Refusal:
    """The refusal for a session that is not open, or not here."""
    return Refusal(
        Reason.SESSION_NOT_FOUND,
        "no such session is open at this edge: it ends with its connection, and the next one begins with a new id",
    )


def _of_stream(refusal: Refusal, stream_id: str) -> Refusal:
    """The same, with the stream's name."""
    if refusal.reason is Reason.SESSION_NOT_FOUND or refusal.fields:
        return refusal
    detail = f"stream {stream_id}: {refusal.detail or 'not found'}"
    is_the_clients = refusal.reason.http_status < 500
    fields = (FieldError("stream", detail),) if is_the_clients else ()
    return replace(refusal, detail=detail, fields=fields)
