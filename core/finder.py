"""Finds a comment by its id: in the log by its time, else in the store."""

import asyncio
from dataclasses import dataclass

from core.history import History
from core.ids import posted_at_of
from core.stream_log import LogMessage, LogUnreadable, StreamLog
from core.unavailable import overloaded
from livecomments.errors import Reason, Refusal, invalid
from livecomments.v1.comment_pb2 import Comment, Stream

_FIND_S = 3.0
_WALK_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Older:
    """The log holds nothing of the comment's time any more."""


def check_comment_id(comment_id: str, stream: Stream) -> int:
    """When a comment of this id would have been posted, ms since the Unix epoch.

    Raises Refusal: INVALID_FIELD for what is no UUIDv7, COMMENT_NOT_FOUND for one from before the stream.
    """
    at_ms = posted_at_of(comment_id)
    if at_ms is None:
        raise invalid("comment_id", "must be a UUIDv7 in lower case")
    if at_ms < stream.started_at_ms:
        raise not_found()
    return at_ms


def not_found() -> Refusal:
    return Refusal(Reason.COMMENT_NOT_FOUND, "there is no such comment in this stream")


async def find_comment(stream_log: StreamLog, history: History, stream: Stream, comment_id: str) -> Comment:
    """The comment; raises Refusal: INVALID_FIELD, COMMENT_NOT_FOUND, OVERLOADED.

    A deleted comment that the log still holds is found, too.
    """
    match await find_in_log(stream_log, stream, comment_id):
        case Older():
            return await history.get(stream.stream_id, comment_id)
        case comment:
            return comment


async def find_in_log(stream_log: StreamLog, stream: Stream, comment_id: str) -> Comment | Older:
    """Like ``find_comment``, without the store."""
    at_ms = check_comment_id(comment_id, stream)
    try:
        async with asyncio.timeout(_FIND_S):
            return await _search(stream_log, comment_id, at_ms)
    except (LogUnreadable, TimeoutError) as error:
        raise overloaded("the comment could not be looked up") from error


async def _search(stream_log: StreamLog, comment_id: str, at_ms: int) -> Comment | Older:
    """Bisects the log by posting time, which never falls along it: some thirty reads, however large it is."""
    last = await stream_log.last()
    first_seq = await stream_log.first_seq()
    low, high = first_seq, last.seq + 1 if last else first_seq
    while low < high:
        middle = (low + high) // 2
        message = await _comments_from(stream_log, middle)
        if message is None or _posted_at(message) >= at_ms:
            high = middle
        else:
            low = message.seq + 1
    earlier_is_held = low > first_seq and await _holds_earlier(stream_log, first_seq, at_ms)
    message = await _comments_from(stream_log, low)
    while message is not None and _posted_at(message) == at_ms:
        for event in message.batch.events:
            if event.posted.comment.comment_id == comment_id:
                return event.posted.comment
        message = await _comments_from(stream_log, message.seq + 1)
    if first_seq <= 1 or earlier_is_held:
        raise not_found()
    return Older()


async def _holds_earlier(stream_log: StreamLog, first_seq: int, at_ms: int) -> bool:
    first = await _comments_from(stream_log, first_seq)
    return first is not None and _posted_at(first) < at_ms


async def _comments_from(stream_log: StreamLog, seq: int) -> LogMessage | None:
    """The first message at or after ``seq`` that holds comments."""
    for _ in range(_WALK_MAX):
        message = await stream_log.next(seq)
        if message is None or (message.batch.events and message.batch.events[0].HasField("posted")):
            return message
        seq = message.seq + 1
    raise LogUnreadable("too many messages without comments")


def _posted_at(message: LogMessage) -> int:
    return message.batch.events[0].posted.comment.posted_at_ms
