"""The statements, prepared."""

# ruff: noqa: S608 (constants, and a keyspace whose form is checked)

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from storage.cql.rows import Span, beginning_of
from storage.store import Place

_ROW = "offset_ms, seq, idx, epoch, comment"
_SPAN = "WHERE stream_id = ? AND bucket = ? AND (offset_ms, seq, idx) > (?, ?, ?) AND (offset_ms, seq, idx) < (?, ?, ?)"
_BUCKETS = "WHERE stream_id = ? AND bucket >= ? AND bucket <= ?"
_AT = "WHERE stream_id = ? AND bucket = ? AND offset_ms = ?"
_SET_IF = "WHERE shard = ? IF epoch = ? AND seq = ? AND rewinds = ?"


@dataclass(frozen=True, slots=True)
class Direction:
    """Reading along the log, or against it."""

    buckets: PreparedStatement
    """stream_id, first bucket, last bucket, limit"""
    rows: PreparedStatement
    """stream_id, bucket, three of the place before, three of the place behind, limit"""
    likely: Callable[[Span], int | None]
    """The bucket that a span begins in; None when it has no beginning, or nothing lies in it."""
    rest: Callable[[Span, Place], Span]
    """What of a span is left to be read when a place has been reached."""
    edge: Callable[[int], Place]
    """The place that has been reached when a bucket is read."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What the store says to the database; each is named by what it does, its parameters are in the docstring."""

    forwards: Direction
    backwards: Direction
    comments_at: PreparedStatement
    """stream_id, bucket, offset_ms"""
    insert_comment: PreparedStatement
    """stream_id, bucket, the row, TTL in s, timestamp in µs"""
    delete_comment: PreparedStatement
    """timestamp in µs, stream_id, bucket, offset_ms, seq, idx"""
    insert_bucket: PreparedStatement
    """stream_id, bucket, TTL in s, timestamp in µs"""
    stream: PreparedStatement
    """stream_id"""
    start_stream: PreparedStatement
    """stream_id, started_at_ms, timestamp in µs"""
    end_stream: PreparedStatement
    """stream_id, ended_at_ms, ended_epoch, ended_seq, timestamp in µs"""
    position: PreparedStatement
    """shard; what is acknowledged"""
    serial_position: PreparedStatement
    """shard; after all that has begun to change it"""
    insert_position: PreparedStatement
    """shard, epoch"""
    advance: PreparedStatement
    """seq, high_seq, shard; if epoch, seq, rewinds"""
    take_back: PreparedStatement
    """seq, rewinds, shard; if epoch, seq, rewinds"""
    start_epoch: PreparedStatement
    """epoch, rewinds, shard; if epoch, seq, rewinds"""

    @classmethod
    def prepare(cls, session: Session, keyspace: str) -> Self:
        """Prepares all for the tables of a keyspace. Blocks; raises the driver's errors."""
        # Named in each statement: servers warn of statements that lean on the session's keyspace.
        comments, positions = f"{keyspace}.comments", f"{keyspace}.positions"
        streams, stream_buckets = f"{keyspace}.streams", f"{keyspace}.stream_buckets"

        def repeatable(text: str) -> PreparedStatement:
            statement = session.prepare(text)
            # Another server may be asked, too: the timestamp stands in the statement, or nothing is written.
            statement.is_idempotent = True
            return statement

        serial_position = repeatable(f"SELECT epoch, seq, high_seq, rewinds FROM {positions} WHERE shard = ?")
        serial_position.consistency_level = ConsistencyLevel.LOCAL_SERIAL
        return cls(
            forwards=Direction(
                buckets=repeatable(f"SELECT bucket FROM {stream_buckets} {_BUCKETS} ORDER BY bucket LIMIT ?"),
                rows=repeatable(f"SELECT {_ROW} FROM {comments} {_SPAN} ORDER BY offset_ms, seq, idx LIMIT ?"),
                likely=Span.first_bucket,
                rest=lambda span, reached: Span(reached, span.high),
                edge=lambda bucket: beginning_of(bucket + 1),
            ),
            backwards=Direction(
                buckets=repeatable(f"SELECT bucket FROM {stream_buckets} {_BUCKETS} ORDER BY bucket DESC LIMIT ?"),
                rows=repeatable(
                    f"SELECT {_ROW} FROM {comments} {_SPAN} ORDER BY offset_ms DESC, seq DESC, idx DESC LIMIT ?"
                ),
                likely=Span.last_bucket,
                rest=lambda span, reached: Span(span.low, reached),
                edge=beginning_of,
            ),
            comments_at=repeatable(f"SELECT {_ROW} FROM {comments} {_AT}"),
            insert_comment=repeatable(
                f"INSERT INTO {comments} (stream_id, bucket, {_ROW}) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
            ),
            delete_comment=repeatable(f"DELETE FROM {comments} USING TIMESTAMP ? {_AT} AND seq = ? AND idx = ?"),
            insert_bucket=repeatable(
                f"INSERT INTO {stream_buckets} (stream_id, bucket) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?"
            ),
            stream=repeatable(
                f"SELECT started_at_ms, ended_at_ms, ended_epoch, ended_seq FROM {streams} WHERE stream_id = ?"
            ),
            start_stream=repeatable(
                f"INSERT INTO {streams} (stream_id, started_at_ms) VALUES (?, ?) USING TIMESTAMP ?"
            ),
            end_stream=repeatable(
                f"INSERT INTO {streams} (stream_id, ended_at_ms, ended_epoch, ended_seq) "
                "VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
            ),
            position=repeatable(f"SELECT epoch, seq, high_seq, rewinds FROM {positions} WHERE shard = ?"),
            serial_position=serial_position,
            insert_position=session.prepare(
                f"INSERT INTO {positions} (shard, epoch, seq, high_seq, rewinds) VALUES (?, ?, 0, 0, 0) IF NOT EXISTS"
            ),
            advance=session.prepare(f"UPDATE {positions} SET seq = ?, high_seq = ? {_SET_IF}"),
            take_back=session.prepare(f"UPDATE {positions} SET seq = ?, rewinds = ? {_SET_IF}"),
            start_epoch=session.prepare(
                f"UPDATE {positions} SET epoch = ?, seq = 0, high_seq = 0, rewinds = ? {_SET_IF}"
            ),
        )
