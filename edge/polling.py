"""Long-poll: a feed for clients that can hold no stream open. Each answer brings what came after the cursor."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import trio

from edge.events import FeedEvent, ended_event
from edge.feeds import Feeds, Topic
from edge.memory import FeedMemory
from edge.sampling import Part, Selection, part_events
from edge.shapes import CursorText
from edge.subscribe import come_to, parse_cursor, require_watch
from livecomments.cursor import Cursor
from livecomments.errors import Refusal
from livecomments.tokens import Identity
from livecomments.v1 import feed_service_pb2 as feed

WAIT_MAX_S = 60
OVER_AFTER_MS = 60_000
"""When to ask again about a stream that has ended."""


class PollEvent(msgspec.Struct, omit_defaults=True):
    """One event, as a WebSocket frame has it."""

    event: str
    data: Annotated[msgspec.Raw, msgspec.Meta(description="As the server-sent event of this name has it.")]
    id: str = ""


@dataclass(frozen=True, slots=True)
class PollWish:
    """What is asked for."""

    cursor: str
    """Empty for a snapshot."""
    selection: Selection
    wait_s: float
    limit: int
    """Events, at least 1."""


class PollAnswer(msgspec.Struct):
    """What came after the cursor, and where to go on."""

    events: list[PollEvent]
    cursor: CursorText
    poll_after_ms: Annotated[int, msgspec.Meta(description="When to ask again.")]


async def poll(feeds: Feeds, identity: Identity, stream_id: str, wish: PollWish) -> PollAnswer:
    """Answers at once when something came after the cursor, else as soon as it comes or after ``wait_s``.

    An empty cursor, or one that can't be served, brings a snapshot; never a part of what was missed. An answer holds
    whole log messages: it may go beyond ``limit`` events by what one message holds. Raises Refusal as a subscribe does.
    """
    cursor = parse_cursor(wish.cursor, "since")
    async with feeds.topic(stream_id) as (topic, memory):
        require_watch(identity, memory.stream, wish.selection)
        if cursor is None:
            return _snapshot(memory)
        if memory.is_behind(cursor) and not await _is_in_log(feeds, topic, cursor):
            now = topic.memory or memory
            require_watch(identity, now.stream, wish.selection)
            return _snapshot(now)
        with trio.move_on_after(wish.wait_s):
            while not _has_more(topic, cursor):
                await topic.changed.wait()
        parts = await _after(feeds, topic, cursor, wish.selection)
        now = topic.memory or memory
        # Once more: it may have become private meanwhile.
        require_watch(identity, now.stream, wish.selection)
        return _snapshot(now) if parts is None else _answer(now, cursor, parts, wish.limit)


async def _is_in_log(feeds: Feeds, topic: Topic, cursor: Cursor) -> bool:
    """Whether the log has come to a cursor that is ahead of this edge; nobody should wait for one that was made up."""
    await come_to(topic, cursor)
    if topic.memory is not None and topic.memory.is_behind(cursor):
        try:
            await feeds.backfill(topic, cursor)
        except Refusal:
            return False
    return True


def _has_more(topic: Topic, cursor: Cursor) -> bool:
    memory = topic.memory
    assert memory is not None
    return memory.has_ended or memory.cursor.epoch != cursor.epoch or memory.cursor.seq > cursor.seq


async def _after(feeds: Feeds, topic: Topic, cursor: Cursor, selection: Selection) -> list[Part] | None:
    """All that came after the cursor; None when that can't be had whole."""
    memory = topic.memory
    assert memory is not None
    if cursor.epoch != memory.cursor.epoch:
        return None
    older: list[feed.FeedMessage] = []
    if cursor.seq < memory.floor:
        try:
            older = await feeds.backfill(topic, cursor)
        except Refusal:
            return None
        memory = topic.memory
        if memory is None or memory.cursor.epoch != cursor.epoch:
            return None
    reached = older[-1].seq if older else cursor.seq
    if not memory.reaches_back(max(reached, memory.floor), selection):
        return None
    return memory.older(older, selection) + memory.parts_after(reached, selection)


def _answer(memory: FeedMemory, cursor: Cursor, parts: Sequence[Part], limit: int) -> PollAnswer:
    taken: list[Part] = []
    count = 0
    for part in parts:
        if count >= limit:
            break
        taken.append(part)
        count += len(part.message.events.events)
    events = part_events(memory.cursor.epoch, taken, memory.viewers)
    reached = Cursor(cursor.epoch, taken[-1].message.seq) if taken else cursor
    if memory.has_ended and reached.seq >= memory.cursor.seq:
        if not taken:
            events = [ended_event(memory.stream.ended_at_ms)]
        return PollAnswer(_shapes(events), str(reached), OVER_AFTER_MS)
    return PollAnswer(_shapes(events), str(reached), _poll_after_ms())


def _snapshot(memory: FeedMemory) -> PollAnswer:
    return PollAnswer(_shapes([memory.state()]), str(memory.cursor), _poll_after_ms())


def _shapes(events: Sequence[FeedEvent]) -> list[PollEvent]:
    return [PollEvent(event.name.decode(), msgspec.Raw(event.data), event.cursor.decode()) for event in events]


def _poll_after_ms() -> int:
    # A little, and never the same: those who were woken together should not come back together.
    return random.randint(0, 200)
