"""What a message of the log says, but for its authors and texts: so little that it fits into a header. Pure.

Taking a stream over, a core reads two minutes of it. Nearly all of that is texts, which it needs only when a post is
repeated; so each message bears its gist as a header, and most of the log is read without the rest.
"""

import binascii
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from livecomments.v1.comment_pb2 import Event, EventBatch

HEADER = "Gist"
"""Short: nats-py looks at each character of a header's name, in every service that reads the log."""
_HEADER_MAX = 48 * 1024
"""Characters. nats-server stores at most 64 KiB of headers, and needs room for its own."""
_COMMENTS, _CHANGE = "c", "e"
_NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Comments:
    """Comments were posted."""

    at_ms: int
    """When the last of them was, ms since the Unix epoch."""
    digests: Sequence[int]
    """The request of each, in order; 0 for none."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something else happened."""

    event: Event


Gist = Comments | Change | None
"""None: the message holds no event."""


def gist_of(batch: EventBatch) -> Gist:
    """The gist of a message."""
    events = batch.events
    if not events:
        return None
    if not events[0].HasField("posted"):
        return Change(events[0])
    return Comments(events[-1].posted.comment.posted_at_ms, [event.posted.request_digest for event in events])


def write_gist(gist: Gist) -> str | None:
    """A gist as the value of a header; None for one that is too long, or says nothing."""
    match gist:
        case Comments(at_ms, digests):
            # 64 bits each, little-endian: the time, then the digests.
            kind, raw = _COMMENTS, struct.pack(f"<q{len(digests)}Q", at_ms, *digests)
        case Change(event):
            kind, raw = _CHANGE, event.SerializeToString()
        case None:
            return None
    value = kind + b64encode(raw).decode()
    return value if len(value) <= _HEADER_MAX else None


def read_gist(value: str) -> Gist:
    """The gist that a header holds; None for one that no core of this version wrote."""
    try:
        raw = b64decode(value[1:], validate=True)
        match value[:1]:
            case "c":
                (at_ms,) = struct.unpack("<q", raw[:_NUMBER_BYTES])
                digests = raw[_NUMBER_BYTES:]
                return Comments(at_ms, struct.unpack(f"<{len(digests) // _NUMBER_BYTES}Q", digests))
            case "e":
                return Change(Event.FromString(raw))
    except (binascii.Error, struct.error, DecodeError, ValueError):
        pass
    return None
