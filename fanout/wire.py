"""Messages of the feed as bytes, so that what many subscribers get is serialized once.

A repeated field may be written piece by piece: the concatenation of two serialized messages is the serialization of
the merged one (protobuf.dev, "Encoding", "Last One Wins" and "Condensed repeated"). So log messages become a
FeedBatch, and topic updates a RelayResponse, by joining bytes.
"""

from livecomments.v1 import feed_service_pb2 as pb

_LENGTH_DELIMITED = 2

_RELAY_UPDATES = pb.RelayResponse.UPDATES_FIELD_NUMBER
_UPDATE_STREAM_ID = pb.TopicUpdate.STREAM_ID_FIELD_NUMBER
_UPDATE_BATCH = pb.TopicUpdate.BATCH_FIELD_NUMBER
_WATCH_BATCH = pb.WatchResponse.BATCH_FIELD_NUMBER
_BACKFILL_BATCH = pb.BackfillResponse.BATCH_FIELD_NUMBER


def relay_batch(stream_id: str, batch: bytes) -> bytes:
    """A RelayResponse with one topic's window; ``batch`` is a serialized FeedBatch."""
    update = _field(_UPDATE_STREAM_ID, stream_id.encode()) + _field(_UPDATE_BATCH, batch)
    return _field(_RELAY_UPDATES, update)


def relay_update(update: pb.TopicUpdate) -> bytes:
    """A RelayResponse with one update."""
    return _field(_RELAY_UPDATES, update.SerializeToString())


def watch_batch(batch: bytes) -> bytes:
    """A WatchResponse with a window."""
    return _field(_WATCH_BATCH, batch)


def backfill_batch(batch: bytes) -> bytes:
    """A BackfillResponse with a chunk."""
    return _field(_BACKFILL_BATCH, batch)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
