"""The one decision about a subscribe, whichever way it came in."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import NamedTuple

import trio

from edge.audience import Viewer
from edge.encodings import Encoding
from edge.expiry import Stay
from edge.feeds import Feeds, Topic
from edge.memory import Ahead, FeedMemory, Missed, TooOld, Unservable
from edge.requests import Query
from edge.sampling import Selection
from edge.tickets import PARAMETER
from livecomments.cursor import BadCursor, Cursor
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed
from livecomments.v1.comment_service_pb2 import ROLE_VIEWER

SUBSCRIBE_PARAMETERS = frozenset({"last_event_id", "all", PARAMETER})

AHEAD_S = 1.0
"""How long one is held back whose cursor is ahead of this edge, before the log is asked."""
_SELECTIONS = {"0": Selection.SAMPLE, "1": Selection.ALL}


class Wish(NamedTuple):
    """What a viewer asks for."""

    cursor: str
    """Where it was; empty for a fresh start."""
    encoding: Encoding
    selection: Selection = Selection.SAMPLE


class Admission(NamedTuple):
    """What a viewer is given: ``first`` to begin with, then the topic's windows after ``skip_through``."""

    topic: Topic
    wish: Wish
    first: bytes
    skip_through: int
    is_over: bool
    """The stream has ended: nothing comes after ``first``."""

    def enter(self, backlog: int, abort: Callable[[], None], stay: Stay) -> Viewer:
        """Makes the viewer one of the audience. No await may stand between the decision and this."""
        wish = self.wish
        viewer = Viewer(
            wish.encoding, wish.selection, self.first, backlog, abort, stay=stay, skip_through=self.skip_through
        )
        self.topic.audience.enter(viewer)
        if self.is_over:
            viewer.end(wish.encoding.tail)
        return viewer

    def may_be_seated(self, viewer: Viewer) -> bool:
        """Whether what comes from now on is the same for this viewer as for everyone else."""
        return not viewer.is_leaving and self.is_abreast

    @property
    def is_abreast(self) -> bool:
        """The cursor is not ahead of this edge."""
        memory = self.topic.memory
        return memory is not None and memory.cursor.seq >= self.skip_through


class NotYet(NamedTuple):
    """The stream is not known here yet, or what was missed has to be asked for: ``prepare`` does that."""

    identity: Identity
    stream_id: str
    wish: Wish


class NothingMore(Exception):
    """The stream has ended and the cursor stands behind its last event: 204, which stops an EventSource."""


@asynccontextmanager
async def admit(feeds: Feeds, identity: Identity, stream_id: str, wish: Wish) -> AsyncIterator[Admission]:
    """Decides a subscribe; the topic is held for as long as the context is open.

    Raises Refusal (BAD_CURSOR, STREAM_NOT_FOUND, UNAUTHENTICATED, FORBIDDEN, OVERLOADED) or NothingMore.
    """
    cursor = parse_cursor(wish.cursor)
    async with feeds.topic(stream_id) as (topic, memory):
        require_watch(identity, memory.stream, wish.selection)
        decided = _decide(topic, memory, cursor, wish)
        if isinstance(decided, Ahead):
            assert cursor is not None
            await come_to(topic, cursor)
            decided = _decide(topic, topic.memory or memory, cursor, wish)
        if decided is None:
            raise NothingMore
        if isinstance(decided, TooOld | Ahead):
            assert cursor is not None
            decided = await _resume_from_log(feeds, topic, cursor, wish)
        # Once more: it may have become private while others were asked.
        require_watch(identity, (topic.memory or memory).stream, wish.selection)
        yield decided


def decide_now(feeds: Feeds, identity: Identity, stream_id: str, wish: Wish) -> Admission | NotYet | None:
    """The same without waiting for anyone; None when nothing is to be shown, or when it has to be held back.

    Raises Refusal. No await may stand between the decision and the seat.
    """
    cursor = parse_cursor(wish.cursor)
    topic = feeds.known(stream_id)
    if topic is None or topic.memory is None:
        return NotYet(identity, stream_id, wish)
    require_watch(identity, topic.memory.stream, wish.selection)
    if cursor is None:
        fresh = _fresh(topic, wish)
        return None if fresh.is_over else fresh
    decided = _decide(topic, topic.memory, cursor, wish)
    if isinstance(decided, TooOld):
        try:
            messages = feeds.backfilled(topic, cursor)
        except Refusal:
            return _fresh(topic, wish)
        if messages is None:
            return NotYet(identity, stream_id, wish)
        decided = _with_older(topic, cursor, wish, messages)
    if not isinstance(decided, Admission) or decided.is_over or not decided.is_abreast:
        return None
    return decided


async def prepare(feeds: Feeds, not_yet: NotYet) -> None:
    """Has what ``decide_now`` lacked there for a moment, if it can be had. Raises Refusal as ``admit`` does."""
    wish, cursor = not_yet.wish, parse_cursor(not_yet.wish.cursor)
    async with feeds.topic(not_yet.stream_id) as (topic, memory):
        require_watch(not_yet.identity, memory.stream, wish.selection)
        if cursor is not None and isinstance(_decide(topic, memory, cursor, wish), TooOld):
            # What is refused is so for the decision to come, too.
            with suppress(Refusal):
                await feeds.backfill(topic, cursor)


def _decide(topic: Topic, memory: FeedMemory, cursor: Cursor | None, wish: Wish) -> Admission | TooOld | Ahead | None:
    """None: the stream has ended, and the cursor has seen all of it."""
    if cursor is None:
        return _fresh(topic, wish)
    if memory.has_ended and cursor.epoch == memory.cursor.epoch and cursor.seq >= memory.cursor.seq:
        return None
    match memory.since(cursor, wish.encoding, wish.selection):
        case Missed(data):
            return _resumed(topic, wish, cursor, data, skip_through=cursor.seq)
        case Unservable():
            return _fresh(topic, wish)
        case TooOld() | Ahead() as unknown:
            return unknown


async def come_to(topic: Topic, cursor: Cursor) -> None:
    """Waits until this edge has come to a cursor that is ahead of it, at most AHEAD_S: edges are not equally fast."""
    with trio.move_on_after(AHEAD_S):
        while topic.memory is not None and topic.memory.is_behind(cursor):
            await topic.changed.wait()


def parse_cursor(text: str, name: str = "Last-Event-ID") -> Cursor | None:
    """None for no cursor; raises Refusal(BAD_CURSOR), which says the name that it came under."""
    try:
        return Cursor.parse(text) if text else None
    except BadCursor as error:
        raise Refusal(Reason.BAD_CURSOR, f"{name} is not a cursor of this system") from error


def read_cursor(last_event_id: str | None, query: Query) -> str:
    """The cursor of a subscribe, by the header or else by the address; raises Refusal(BAD_CURSOR) for a bad one of the
    latter that the header overrules.
    """
    named = query.text("last_event_id")
    if last_event_id:
        parse_cursor(named, "last_event_id")
    return last_event_id or named


def read_selection(query: Query) -> Selection:
    """Whether all comments are asked for; raises Refusal(INVALID_FIELD)."""
    return query.choice("all", _SELECTIONS, Selection.SAMPLE)


def require_watch(identity: Identity, stream: pb.Stream, selection: Selection) -> None:
    """Raises UNAUTHENTICATED without a token, FORBIDDEN with one that does not open this private stream, or that may
    not have all of a feed.
    """
    if not identity.may_watch(stream):
        raise Refusal(_no_access(identity), "this stream is private: a token that names it is needed")
    if selection is Selection.ALL and identity.role_in(stream) == ROLE_VIEWER:
        raise Refusal(_no_access(identity), "all=1: only the stream's host and its moderators may have all of a feed")


def _no_access(identity: Identity) -> Reason:
    return Reason.FORBIDDEN if identity.is_user else Reason.UNAUTHENTICATED


async def _resume_from_log(feeds: Feeds, topic: Topic, cursor: Cursor, wish: Wish) -> Admission:
    try:
        messages = await feeds.backfill(topic, cursor)
    except Refusal:
        # Never a part: who can't have all that was missed begins afresh, and is told so. So does one whose cursor the
        # log has never come to: it would wait for ever.
        return _fresh(topic, wish)
    return _with_older(topic, cursor, wish, messages)


def _with_older(topic: Topic, cursor: Cursor, wish: Wish, messages: Sequence[feed.FeedMessage]) -> Admission:
    memory = topic.memory
    assert memory is not None
    if memory.cursor.epoch != cursor.epoch:
        return _fresh(topic, wish)
    reached = messages[-1].seq if messages else cursor.seq
    # The log was read after memory's floor was passed, so up to there nothing is missing; memory has what came after.
    after = memory.since(Cursor(cursor.epoch, max(reached, memory.floor)), wish.encoding, wish.selection)
    if isinstance(after, Ahead):
        after = Missed(b"", 0)
    if not isinstance(after, Missed):
        return _fresh(topic, wish)
    older = memory.older(messages, wish.selection)
    data = memory.encode(older, wish.encoding) + after.data
    events = sum(len(part.message.events.events) for part in older) + after.events
    if not memory.may_give(events, len(data)):
        return _fresh(topic, wish)
    return _resumed(topic, wish, cursor, data, skip_through=reached)


def _fresh(topic: Topic, wish: Wish) -> Admission:
    memory = topic.memory
    assert memory is not None
    first = _begin(wish.encoding, _retry_ms()) + memory.snapshot(wish.encoding)
    return Admission(topic, wish, first, 0, memory.has_ended)


def _resumed(topic: Topic, wish: Wish, cursor: Cursor, data: bytes, *, skip_through: int) -> Admission:
    memory, encoding = topic.memory, wish.encoding
    assert memory is not None
    first = _begin(encoding, _retry_ms()) + encoding.events([memory.recovered(cursor)]) + data
    return Admission(topic, wish, first, skip_through, memory.has_ended)


@lru_cache(maxsize=1024)
def _begin(encoding: Encoding, retry_ms: int) -> bytes:
    # To compress it anew for each who joins took longer than all the rest.
    return encoding.begin(retry_ms)


def _retry_ms() -> int:
    # Jittered, so that the viewers of a lost edge do not all come back at once.
    return 500 + 20 * int(random.random() * 101)
