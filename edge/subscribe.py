"""The one decision about a subscribe, whichever way it came in."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge.audience import Viewer
from edge.encodings import Encoding
from edge.feeds import Feeds, Topic
from edge.memory import FeedMemory, Missed, TooOld, Unservable
from livecomments.cursor import BadCursor, Cursor
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1 import comment_pb2 as pb

SUBSCRIBE_PARAMETERS = frozenset({"last_event_id"})


@dataclass(frozen=True, slots=True)
class Admission:
    """What a viewer is given: ``first`` to begin with, then the topic's windows after ``skip_through``."""

    topic: Topic
    encoding: Encoding
    first: bytes
    skip_through: int
    is_over: bool
    """The stream has ended: nothing comes after ``first``."""

    def enter(self, backlog: int, abort: Callable[[], None]) -> Viewer:
        """Makes the viewer one of the audience. No await may stand between the decision and this."""
        viewer = Viewer(self.encoding, self.first, backlog, abort, self.skip_through)
        self.topic.audience.enter(viewer)
        if self.is_over:
            viewer.end(self.encoding.tail)
        return viewer

    def may_be_seated(self, viewer: Viewer) -> bool:
        """Whether what comes from now on is the same for this viewer as for everyone else."""
        return not viewer.is_leaving and self.is_abreast

    @property
    def is_abreast(self) -> bool:
        """The cursor is not ahead of this edge."""
        memory = self.topic.memory
        return memory is not None and memory.cursor.seq >= self.skip_through


class NothingMore(Exception):
    """The stream has ended and the cursor stands behind its last event: 204, which stops an EventSource."""


@asynccontextmanager
async def admit(
    feeds: Feeds, identity: Identity, stream_id: str, cursor_text: str, encoding: Encoding
) -> AsyncIterator[Admission]:
    """Decides a subscribe; the topic is held for as long as the context is open.

    Raises Refusal (BAD_CURSOR, STREAM_NOT_FOUND, UNAUTHENTICATED, FORBIDDEN, OVERLOADED) or NothingMore.
    """
    cursor = parse_cursor(cursor_text)
    async with feeds.topic(stream_id) as (topic, memory):
        require_watch(identity, memory.stream)
        decided = _decide(topic, memory, cursor, encoding)
        if decided is None:
            raise NothingMore
        if isinstance(decided, TooOld):
            assert cursor is not None
            decided = await _resume_from_log(feeds, topic, cursor, encoding)
        yield decided


def decide_now(
    feeds: Feeds, identity: Identity, stream_id: str, cursor_text: str, encoding: Encoding
) -> Admission | None:
    """The same without waiting for anyone; None when that can't be, or when nothing is to be shown.

    Raises Refusal. No await may stand between the decision and the seat.
    """
    topic = feeds.known(stream_id)
    if topic is None or topic.memory is None:
        return None
    require_watch(identity, topic.memory.stream)
    decided = _decide(topic, topic.memory, parse_cursor(cursor_text), encoding)
    if not isinstance(decided, Admission) or decided.is_over or decided.skip_through > topic.memory.cursor.seq:
        return None
    return decided


def _decide(topic: Topic, memory: FeedMemory, cursor: Cursor | None, encoding: Encoding) -> Admission | TooOld | None:
    """None: the stream has ended, and the cursor has seen all of it."""
    if cursor is None:
        return _fresh(topic, encoding)
    if memory.has_ended and cursor.epoch == memory.cursor.epoch and cursor.seq >= memory.cursor.seq:
        return None
    match memory.since(cursor, encoding):
        case Missed(data):
            return _resumed(topic, memory, cursor, encoding, data, skip_through=cursor.seq)
        case Unservable():
            return _fresh(topic, encoding)
        case TooOld() as too_old:
            return too_old


def parse_cursor(text: str, name: str = "Last-Event-ID") -> Cursor | None:
    """None for no cursor; raises Refusal(BAD_CURSOR), which says the name that it came under."""
    try:
        return Cursor.parse(text) if text else None
    except BadCursor as error:
        raise Refusal(Reason.BAD_CURSOR, f"{name} is not a cursor of this system") from error


def require_watch(identity: Identity, stream: pb.Stream) -> None:
    """Raises UNAUTHENTICATED without a token, FORBIDDEN with one that does not open this private stream."""
    if not identity.may_watch(stream):
        reason = Reason.FORBIDDEN if identity.is_user else Reason.UNAUTHENTICATED
        raise Refusal(reason, "this stream is private: a token that names it is needed")


async def _resume_from_log(feeds: Feeds, topic: Topic, cursor: Cursor, encoding: Encoding) -> Admission:
    try:
        messages = await feeds.backfill(topic.stream_id, cursor)
    except Refusal:
        # Never a part: who can't have all that was missed begins afresh, and is told so.
        return _fresh(topic, encoding)
    memory = topic.memory
    assert memory is not None
    if memory.cursor.epoch != cursor.epoch:
        return _fresh(topic, encoding)
    reached = messages[-1].seq if messages else cursor.seq
    # The log was read after memory's floor was passed, so up to there nothing is missing; memory has what came after.
    after = memory.since(Cursor(cursor.epoch, max(reached, memory.floor)), encoding)
    if not isinstance(after, Missed):
        return _fresh(topic, encoding)
    data = memory.encode(messages, encoding) + after.data
    if not memory.may_give(sum(len(message.events.events) for message in messages), len(data)):
        return _fresh(topic, encoding)
    return _resumed(topic, memory, cursor, encoding, data, skip_through=reached)


def _fresh(topic: Topic, encoding: Encoding) -> Admission:
    memory = topic.memory
    assert memory is not None
    first = encoding.begin(_retry_ms()) + memory.snapshot(encoding)
    return Admission(topic, encoding, first, 0, memory.has_ended)


def _resumed(
    topic: Topic, memory: FeedMemory, cursor: Cursor, encoding: Encoding, data: bytes, *, skip_through: int
) -> Admission:
    first = encoding.begin(_retry_ms()) + encoding.events([memory.recovered(cursor)]) + data
    return Admission(topic, encoding, first, skip_through, memory.has_ended)


def _retry_ms() -> int:
    # Jittered, so that the viewers of a lost edge do not all come back at once.
    return random.randint(500, 2_500)
