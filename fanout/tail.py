"""The end of a subject: its latest comments, without reading what stands before them."""

from fanout.messages import LogMessage
from fanout.reader import LogReader
from livecomments.log import Shard

_RUNS = (8, 64, 512)
"""Messages that are tried, until they hold enough comments: a busy stream has hundreds in one, a quiet one has one."""


async def read_tail(
    reader: LogReader, shard: Shard, stream_id: str, last: int, *, since_unix_s: float, comments: int
) -> list[LogMessage]:
    """The subject's messages through ``last`` without a gap, oldest first: at most 512, none older than
    ``since_unix_s`` (seconds since the epoch), and no more runs than it takes to hold ``comments`` comments.

    A direct get can't count backwards, so the run's first message is found by bisection on how many follow it.
    Raises LogUnavailable.
    """
    first = await reader.since(shard, stream_id, since_unix_s)
    if not first.messages:
        return []
    earliest = first.messages[0].seq
    messages: list[LogMessage] = []
    for run in _RUNS:
        start = earliest
        if 1 + first.pending > run:
            start = await _start_of_run(reader, shard, stream_id, range(earliest, last + 1), run)
        messages = await _read_through(reader, shard, stream_id, start, last)
        if start == earliest or count_comments(messages) >= comments:
            break
    return messages


async def _start_of_run(reader: LogReader, shard: Shard, stream_id: str, seqs: range, run: int) -> int:
    """A seq within ``seqs`` from which on at most ``run`` messages stand; more than half of that, where there are."""
    low, high = seqs[0], seqs[-1]
    while low < high:
        middle = (low + high) // 2
        page = await reader.after(shard, stream_id, middle - 1, max_messages=1)
        remaining = len(page.messages) + page.pending
        if remaining > run:
            low = middle + 1
        elif remaining > run // 2:
            return middle
        else:
            high = middle
    return high


async def _read_through(reader: LogReader, shard: Shard, stream_id: str, start: int, last: int) -> list[LogMessage]:
    messages: list[LogMessage] = []
    at = start - 1
    while at < last:
        page = await reader.known_after(shard, stream_id, at)
        if not page.messages:
            break
        messages += page.messages
        at = page.messages[-1].seq
    return messages


def count_comments(messages: list[LogMessage]) -> int:
    """How many comments were posted in them."""
    return sum(event.HasField("posted") for message in messages for event in message.events.events)
