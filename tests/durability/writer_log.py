"""The writer of storage as its system calls show it: SQLite's log, and the acknowledgements to JetStream. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.durability.disk import missing_on_disk
from tests.durability.syscalls import Call, Moment

_ACK = re.compile(rb"PUB \$JS\.ACK\.(?:\w+\.\w+\.)?COMMENTS_0\.storage\.\d+\.(?P<seq>\d+)\.\d+\.\d+\.\d+ ")
_WAL_HEAD_BYTES = 32
_FRAME_HEAD_BYTES = 24


@dataclass(frozen=True, slots=True)
class ConsumerAck:
    """The writer's word that all messages up to a sequence are written."""

    seq: int
    begin: Moment


def consumer_acks(calls: Iterable[Call]) -> list[ConsumerAck]:
    """All that were sent, oldest first."""
    return [
        ConsumerAck(int(found["seq"]), call.begin)
        for call in calls
        if call.is_to_network
        for found in _ACK.finditer(call.data[: max(0, call.result)])
    ]


def transaction_with(calls: Iterable[Call], wal: str, text: bytes) -> range | None:
    """What must be on the disk of SQLite's write-ahead log ``wal`` for the first transaction that wrote ``text``.

    From the log's beginning through the frame that commits: SQLite recovers frames up to the first that is damaged,
    and none behind the last that commits (sqlite.org/fileformat2.html, section 4). None when nothing wrote it.
    """
    image = bytearray()
    first: int | None = None
    for call in calls:
        if call.target != wal or call.offset is None or call.result <= 0:
            continue
        image.extend(bytes(max(0, call.offset - len(image))))
        image[call.span.start : call.span.stop] = call.data[: call.result]
        page_bytes = int.from_bytes(image[8:12], "big")
        frame_bytes = _FRAME_HEAD_BYTES + page_bytes
        if first is None:
            if text not in call.data:
                continue
            first = (call.offset + call.data.index(text) - _WAL_HEAD_BYTES) // frame_bytes
        last = (call.span.stop - 1 - _WAL_HEAD_BYTES) // frame_bytes
        for frame in range(first, last + 1):
            start = _WAL_HEAD_BYTES + frame * frame_bytes
            pages_after_commit = int.from_bytes(image[start + 4 : start + 8], "big")
            if pages_after_commit:
                return range(start + frame_bytes)
    return None


def too_soon(calls: Sequence[Call], wal: str, comments: Mapping[int, bytes]) -> list[str]:
    """For each comment whose message was acknowledged before its row was on the disk: what was missing.

    ``comments``: a text that stands in no other, by the message's sequence.
    """
    acks = consumer_acks(calls)
    complaints = []
    for seq, text in comments.items():
        ack = next((ack for ack in acks if ack.seq >= seq), None)
        span = transaction_with(calls, wal, text)
        if ack is None:
            complaints.append(f"{seq}: was not acknowledged")
        elif span is None:
            complaints.append(f"{seq}: no transaction wrote it")
        elif missing := missing_on_disk(calls, wal, span, ack.begin):
            complaints.append(f"{seq}: {missing}")
    return complaints
