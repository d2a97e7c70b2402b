"""Storage may be behind, away, or of another life, and the log trimmed: the comments that a join begins with are the
latest, and none is missing between two of them.
"""

import asyncio
from dataclasses import dataclass

import grpc
from hypothesis import given
from hypothesis import strategies as st

from fanout.history import History
from fanout.memory import FeedMemory
from fanout.messages import LogMessage
from fanout.reader import Page, ShardState
from fanout.settings import FanoutSettings
from livecomments.log import Shard
from livecomments.v1.comment_pb2 import Comment, CommentDeleted, Event, EventBatch, Stream
from livecomments.v1.history_service_pb2 import ListRecentCommentsRequest, ListRecentCommentsResponse

RING = 10
SHARD = Shard(0, "epoch")
OLD = Shard(0, "old")


def write_log(acts: list[int | None], steps: list[int]) -> list[LogMessage]:
    """A log: each act posts so many comments, or deletes the one before the last; ``steps`` are between sequences."""
    messages: list[LogMessage] = []
    posted: list[str] = []
    seq = 0
    for act, step in zip(acts, steps, strict=False):
        seq += step
        events = []
        if act is None:
            events.append(Event(deleted=CommentDeleted(comment_id=posted[-2] if len(posted) > 1 else "nobody's")))
        for index in range(act or 0):
            event = Event()
            event.posted.comment.comment_id = f"{seq}.{index}"
            posted.append(f"{seq}.{index}")
            events.append(event)
        messages.append(LogMessage.decode(seq, EventBatch(events=events).SerializeToString()))
    return messages


def shown(messages: list[LogMessage]) -> list[str]:
    """The comments that are there after all of these."""
    there: dict[str, None] = {}
    for message in messages:
        for event in message.events.events:
            if event.HasField("posted"):
                there[event.posted.comment.comment_id] = None
            else:
                there.pop(event.deleted.comment_id, None)
    return list(there)


class PaperLog:
    """A LogReader whose log is a list; ``first`` is the first sequence that it still holds."""

    def __init__(self, messages: list[LogMessage], first: int) -> None:
        self.held = [message for message in messages if message.seq >= first]
        self.state = ShardState(first, max([first - 1, *(message.seq for message in messages)]))

    async def after(self, _shard: Shard, _stream_id: str, seq: int, max_messages: int = 3) -> Page:
        rest = [message for message in self.held if message.seq > seq]
        return Page(rest[:max_messages], len(rest[max_messages:]))

    async def known_after(self, shard: Shard, stream_id: str, seq: int) -> Page:
        return await self.after(shard, stream_id, seq)

    async def since(self, shard: Shard, stream_id: str, unix_s: float) -> Page:
        # Everything is older than two minutes, but for the last message.
        recent = self.held[-1].seq - 1 if unix_s and self.held else 0
        return await self.after(shard, stream_id, recent, max_messages=1)

    async def last(self, _shard: Shard, _stream_id: str) -> LogMessage | None:
        return self.held[-1] if self.held else None

    async def shard_state(self, _shard: Shard) -> ShardState:
        return self.state


@dataclass
class PaperStore:
    """Storage that has written the log through a sequence."""

    messages: list[LogMessage]
    through: int
    shard: Shard = SHARD
    away: bool = False

    async def ListRecentComments(  # noqa: N802
        self, request: ListRecentCommentsRequest, *, metadata: object, timeout: float
    ) -> ListRecentCommentsResponse:
        del metadata, timeout
        if self.away:
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
        written = shown([message for message in self.messages if message.seq <= self.through])
        return ListRecentCommentsResponse(
            comments=[Comment(comment_id=one) for one in written[-request.page_size :]],
            through_cursor=f"{self.shard.epoch}-{self.through}",
        )


def begin(log: PaperLog, store: PaperStore) -> FeedMemory:
    history = History(log, [store], "token", RING)  # type: ignore[arg-type,list-item]
    beginning = asyncio.run(history.read(SHARD, "a"))
    settings = FanoutSettings(fanout_ring=RING)
    return FeedMemory(settings, SHARD.epoch, Stream(stream_id="a"), beginning, 0.0)


def comments_of(memory: FeedMemory) -> list[str]:
    return [one.comment_id for one in memory.snapshot(Stream(), 100).comments]


@given(
    acts=st.lists(st.sampled_from([1, 1, 2, 3, None]), max_size=30),
    steps=st.lists(st.integers(1, 3), min_size=30, max_size=30),
    through=st.integers(0, 90),
    first=st.integers(1, 60),
    trouble=st.sampled_from(["none", "away", "of another life"]),
)
def test_none_is_missing_between_two_that_are_shown(
    acts: list[int | None], steps: list[int], through: int, first: int, trouble: str
) -> None:
    messages = write_log(acts, steps)
    log = PaperLog(messages, first)
    through = min(through, log.state.last)
    store = PaperStore(messages, through, OLD if trouble == "of another life" else SHARD, trouble == "away")
    memory = begin(log, store)
    everything, comments = shown(messages), comments_of(memory)

    # Nobody can show what neither has.
    unknown = [message for message in messages if through < message.seq < first]
    if not log.held and unknown:
        everything = shown([message for message in messages if message.seq <= through])
    if trouble != "none" and not log.held:
        assert not comments
    assert comments == (everything[-len(comments) :] if comments else [])

    # Only those that were deleted leave places that older ones can't take any more.
    deletes = sum(1 for act in acts if act is None)
    if trouble == "none" and first <= through + 1:
        assert len(comments) >= min(RING - deletes, len(everything))
    elif log.held and (trouble != "none" or through < log.held[-1].seq):
        assert len(comments) >= min(RING - deletes, len(shown(log.held)))
        assert set(comments) <= set(shown(log.held))

    # What follows is the log's, from the head on, and memory is whole from its floor.
    assert not [message for message in log.held if message.seq > memory.head]
    covered = [message.seq for message in messages if memory.covers(message.seq - 1) and message.seq <= memory.head]
    assert [entry.seq for entry in memory.after(memory.head)] == []
    if covered:
        assert [entry.seq for entry in memory.after(covered[0] - 1)] == covered


def test_a_store_that_was_deleted_from_and_is_behind_shows_neither_what_it_deleted_nor_what_the_log_did() -> None:
    messages = write_log([3, None, 2, None, 1], [1] * 5)
    store = PaperStore(messages, through=2)
    assert comments_of(begin(PaperLog(messages, 1), store)) == shown(messages)
    # Its rows are gone, by an operator's hand: what is left is shown, and what the log has.
    store.messages = messages[4:]
    assert comments_of(begin(PaperLog(messages, 1), store)) == ["3.1", "5.0"]


def test_a_log_that_was_trimmed_past_the_store_is_shown_alone() -> None:
    messages = write_log([1] * 6, [1] * 6)
    assert comments_of(begin(PaperLog(messages, 3), PaperStore(messages, through=2))) == [f"{n}.0" for n in range(1, 7)]
    assert comments_of(begin(PaperLog(messages, 4), PaperStore(messages, through=2))) == ["4.0", "5.0", "6.0"]


def test_without_the_store_a_quiet_stream_shows_also_what_is_older_than_two_minutes() -> None:
    messages = write_log([1] * 30, [1] * 30)
    assert comments_of(begin(PaperLog(messages, 1), PaperStore(messages, 0, away=True))) == [
        f"{n}.0" for n in range(21, 31)
    ]
