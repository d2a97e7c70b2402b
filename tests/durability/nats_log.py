"""nats-server as its system calls show it: the records in its files, and the acknowledgements that it sends. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.durability.disk import missing_on_disk
from tests.durability.syscalls import Call, Moment

_ACK = re.compile(rb'\{"stream":"(?P<stream>\w+)","seq":(?P<seq>\d+)\}')
"""A PubAck, but for one that confirms what was stored long ago (a duplicate)."""
_SHOWN = re.compile(
    rb"HMSG live\.\S+ [^\r]*\r\nNATS/1\.0\r\n(?:[^\r]+\r\n)*?Nats-Stream: (?P<stream>\w+)\r\n"
    rb"(?:[^\r]+\r\n)*?Nats-Sequence: (?P<seq>\d+)\r\n"
)
"""What a stream republishes."""
_LENGTH_MASK = 0x7FFF_FFFF
"""The first bit of a record's length says that it has headers."""
_MARKS_SHIFT = 62
"""The first two bits of a record's sequence mark what is erased, and tombstones."""
_HEAD_BYTES = 22


@dataclass(frozen=True, slots=True)
class Record:
    """A message in a block of a stream's file store."""

    path: str
    span: range
    """Its bytes in the file."""
    seq: int
    body: bytes
    """Subject, headers, payload and checksum."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message of a stream that somebody was told of: it is stored."""

    stream: str
    seq: int
    begin: Moment
    """The beginning of the call that sent the first byte of it."""


def pub_acks(calls: Sequence[Call]) -> list[Told]:
    """The acknowledgements that were sent."""
    return _told(calls, _ACK)


def shown(calls: Sequence[Call]) -> list[Told]:
    """The messages of the log that were sent to those who watch."""
    return _told(calls, _SHOWN)


def _told(calls: Iterable[Call], pattern: re.Pattern[bytes]) -> list[Told]:
    sent: dict[str, bytearray] = defaultdict(bytearray)
    ends: dict[str, list[tuple[int, Moment]]] = defaultdict(list)
    for call in calls:
        if call.is_to_network and call.data and call.result > 0:
            sent[call.target] += call.data[: call.result]
            ends[call.target].append((len(sent[call.target]), call.begin))
    told = []
    for target, data in sent.items():
        for found in pattern.finditer(data):
            begin = next(begin for end, begin in ends[target] if end > found.start())
            told.append(Told(found["stream"].decode(), int(found["seq"]), begin))
    return told


def records(calls: Iterable[Call], folder: str) -> Iterator[Record]:
    """What was written into the blocks of one store; ``folder`` is a part of their path, like ``/streams/KV_bans/``."""
    for call in calls:
        if folder not in call.target or not call.target.endswith(".blk") or call.offset is None:
            continue
        data, at = call.data[: call.result], 0
        while at + _HEAD_BYTES <= len(data):
            length = int.from_bytes(data[at : at + 4], "little") & _LENGTH_MASK
            seq = int.from_bytes(data[at + 4 : at + 12], "little")
            start = call.offset + at
            if not seq >> _MARKS_SHIFT:
                yield Record(call.target, range(start, start + length), seq, data[at + _HEAD_BYTES : at + length])
            at += max(length, _HEAD_BYTES)


def too_soon(calls: Sequence[Call], told: Iterable[Told]) -> list[str]:
    """For each message that was told of before its record was on the disk of a lone server: what was missing."""
    calls_of_log = [call for call in calls if call.target.endswith(".blk")]
    stored: dict[str, dict[int, Record]] = {}
    complaints = []
    for one in told:
        if one.stream not in stored:
            found = records(calls_of_log, f"/streams/{one.stream}/")
            stored[one.stream] = {record.seq: record for record in found}
        if (record := stored[one.stream].get(one.seq)) is None:
            complaints.append(f"{one.stream} {one.seq}: no record was written")
        elif missing := missing_on_disk(calls_of_log, record.path, record.span, one.begin):
            complaints.append(f"{one.stream} {one.seq}: {missing}")
    return complaints
