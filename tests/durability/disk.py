"""Which bytes of which files were on the disk at a moment, as far as the system calls tell. Pure."""

from collections.abc import Iterable, Sequence

from tests.durability.syscalls import Call, Moment


def missing_on_disk(calls: Iterable[Call], path: str, span: range, moment: Moment) -> str:
    """Why a part of ``span`` (bytes of the file) may not have been on the disk at ``moment``; empty if all of it was.

    A write counts once a sync of the file that began after the write had ended has ended itself. One that is under
    way may have changed any of its bytes.
    """
    of_file = [call for call in calls if call.target == path and call.begin.precedes(moment)]
    writes = [call for call in of_file if _overlap(call.span, span)]
    if not _covers(writes, span):
        return f"bytes {span.start} to {span.stop} of {path} were not all written"
    syncs = [call for call in of_file if call.is_sync and call.end.precedes(moment)]
    for write in writes:
        if not any(write.end.precedes(sync.begin) for sync in syncs):
            return f"bytes {write.span.start} to {write.span.stop} of {path} were written, but not synced"
    return ""


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _covers(writes: Sequence[Call], span: range) -> bool:
    reached = span.start
    for written in sorted((write.span for write in writes), key=lambda found: found.start):
        if written.start > reached:
            break
        reached = max(reached, written.stop)
    return reached >= span.stop
