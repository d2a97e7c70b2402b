"""Changes of a stream that are not comments: each decides, on top of a ledger, which event to append. Pure.

A decision returns the event, or None when the stream is already as it should be, or raises Refusal. It is asked again
when another core appended first.
"""

from collections.abc import Callable, Sequence

from core.ledger import Ledger, ended
from livecomments.errors import Reason, Refusal
from livecomments.v1.comment_pb2 import (
    Comment,
    CommentDeleted,
    CommentPinned,
    CommentUnpinned,
    Event,
    Stream,
    StreamEnded,
    StreamEnding,
    StreamUpdated,
)

Decide = Callable[[Ledger, int], Event | None]
"""Given the ledger and the wall clock, ms since the Unix epoch."""


def delete(comment_id: str) -> Decide:
    """Deletes a comment; once is enough. Behind the end, too: a recording is moderated as long as it is watched."""

    def decide(ledger: Ledger, _now_ms: int) -> Event | None:
        if ledger.is_deleted(comment_id):
            return None
        return Event(deleted=CommentDeleted(comment_id=comment_id))

    return decide


def pin(comment: Comment) -> Decide:
    """Pins a comment in place of the one that is pinned."""

    def decide(ledger: Ledger, _now_ms: int) -> Event | None:
        _check_live(ledger)
        if ledger.is_deleted(comment.comment_id):
            raise Refusal(Reason.COMMENT_NOT_FOUND, "the comment was deleted")
        if ledger.stream.pinned.comment_id == comment.comment_id:
            return None
        return Event(pinned=CommentPinned(comment=comment))

    return decide


def unpin(only: str = "") -> Decide:
    """Unpins what is pinned; with ``only``, just that comment. Behind the end, too."""

    def decide(ledger: Ledger, _now_ms: int) -> Event | None:
        pinned = ledger.stream.pinned.comment_id
        if not pinned or (only and pinned != only):
            return None
        return Event(unpinned=CommentUnpinned())

    return decide


def update(wanted: Stream, fields: Sequence[str]) -> Decide:
    """Sets these fields (of title, visibility, slow_mode_s) as they are in ``wanted``."""

    def decide(ledger: Ledger, _now_ms: int) -> Event | None:
        _check_live(ledger)
        updated = Stream()
        updated.CopyFrom(ledger.stream)
        for field in fields:
            setattr(updated, field, getattr(wanted, field))
        return None if updated == ledger.stream else Event(updated=StreamUpdated(stream=updated))

    return decide


def announce_end(notice_ms: int) -> Decide:
    """Tells the viewers when the stream will end, in place of an earlier notice."""

    def decide(ledger: Ledger, now_ms: int) -> Event | None:
        if ledger.has_ended:
            return None
        return Event(ending=StreamEnding(ends_at_ms=ledger.at(now_ms) + notice_ms))

    return decide


def end() -> Decide:
    """Ends the stream."""

    def decide(ledger: Ledger, now_ms: int) -> Event | None:
        if ledger.has_ended:
            return None
        return Event(ended=StreamEnded(ended_at_ms=ledger.at(now_ms)))

    return decide


def end_when_due() -> Decide:
    """Ends the stream if the time that was announced has come."""

    def decide(ledger: Ledger, now_ms: int) -> Event | None:
        due_ms = ledger.stream.ends_at_ms
        return end()(ledger, now_ms) if due_ms and due_ms <= now_ms else None

    return decide


def _check_live(ledger: Ledger) -> None:
    if ledger.has_ended:
        raise ended()
