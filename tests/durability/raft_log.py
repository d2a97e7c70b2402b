"""nats-servers of a cluster as their system calls show them: whose Raft logs have what before a PubAck leaves. Pure."""

from collections.abc import Sequence

from tests.durability.disk import missing_on_disk
from tests.durability.nats_log import Told, records
from tests.durability.syscalls import Call

_RAFT_LOGS = "/_js_/"
"""A part of the path of every Raft log."""


def copies_on_disk(servers: Sequence[Sequence[Call]], text: bytes, told: Told) -> list[str]:
    """For each of the servers: why the entry with ``text`` may not have been on its disk when it was told of; empty
    where it was.
    """
    return [_missing(calls, text, told) for calls in servers]


def _missing(calls: Sequence[Call], text: bytes, told: Told) -> str:
    of_logs = [call for call in calls if _RAFT_LOGS in call.target]
    entry = next((record for record in records(of_logs, _RAFT_LOGS) if text in record.body), None)
    if entry is None:
        return "no entry was written"
    return missing_on_disk(of_logs, entry.path, entry.span, told.begin)
