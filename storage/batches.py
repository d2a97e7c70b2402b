"""From messages of the log to what the store is asked to write. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from livecomments.cursor import Cursor
from livecomments.errors import Refusal
from livecomments.stream_ids import check_stream_id
from livecomments.v1.comment_pb2 import Comment, EventBatch
from storage.comment_ids import posted_at_of
from storage.store import Batch, Deletion, End, Place, StoredComment

_OFFSET_MAX_MS = 2**48
"""No two times of a UUIDv7 are further apart."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A message as the log holds it."""

    stream_id: str
    """The last token of its subject: the authority on which stream this belongs to."""
    seq: int
    data: bytes
    """An EventBatch, if all is well."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that can't be written, and why; nothing of it is in the batch."""

    message: LogMessage
    why: str


def batch_of(shard: int, position: Cursor, messages: Iterable[LogMessage]) -> tuple[Batch, tuple[Poison, ...]]:
    """The batch that takes the store from ``position`` through the last message.

    ``messages`` are all that the log holds behind ``position`` up to the last of them, in its order. Poisonous ones
    are left out of the rows and given back; the batch reaches past them. Kinds of events that hold nothing to keep
    (pins, updates, announcements, kinds of a later version) leave no row.
    """
    comments: list[StoredComment] = []
    deletions: list[Deletion] = []
    ends: list[End] = []
    poisons: list[Poison] = []
    through_seq = position.seq
    for message in messages:
        through_seq = message.seq
        try:
            rows = _rows(message)
        except (DecodeError, ValueError, Refusal) as error:
            poisons.append(Poison(message, str(error)))
            continue
        for row in rows:
            match row:
                case StoredComment():
                    comments.append(row)
                case Deletion():
                    deletions.append(row)
                case End():
                    ends.append(row)
    batch = Batch(shard, position.epoch, position.seq, through_seq, tuple(comments), tuple(deletions), tuple(ends))
    return batch, tuple(poisons)


def _rows(message: LogMessage) -> list[StoredComment | Deletion | End]:
    check_stream_id(message.stream_id)
    rows: list[StoredComment | Deletion | End] = []
    for index, event in enumerate(EventBatch.FromString(message.data).events):
        match event.WhichOneof("kind"):
            case "posted":
                rows.append(_stored(event.posted.comment, message, index))
            case "deleted":
                comment_id = event.deleted.comment_id
                rows.append(Deletion(message.stream_id, comment_id, posted_at_of(comment_id), message.seq))
            case "ended":
                rows.append(End(message.stream_id, event.ended.ended_at_ms, message.seq))
    return rows


def _stored(comment: Comment, message: LogMessage, index: int) -> StoredComment:
    if posted_at_of(comment.comment_id) != comment.posted_at_ms:
        # It could be neither found by its id nor deleted.
        raise ValueError(f"comment {comment.comment_id}: its id does not tell its posted_at_ms")
    if comment.stream_id != message.stream_id:
        raise ValueError(f"comment {comment.comment_id}: of the stream {comment.stream_id!r}")
    if abs(comment.offset_ms) > _OFFSET_MAX_MS:
        raise ValueError(f"comment {comment.comment_id}: offset_ms {comment.offset_ms}")
    return StoredComment(Place(comment.offset_ms, message.seq, index), comment)
