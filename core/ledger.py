"""What one stream's log says, as far as it counts for the next decision; and the decisions. Pure.

A ledger is a fold over the log: whoever has read the same messages decides alike. What is decided becomes true only
by being appended; until then it stands in a Draft, which can be thrown away.
"""

from array import array
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from core.gist import Change, Comments, Gist, gist_of
from core.ids import CommentIds
from core.limits import UserLimits, UserRate
from core.requests import Place, Requests
from core.summary import Stretch, Summary
from livecomments.errors import Reason, Refusal
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Comment, Event, EventBatch, Stream

DELETED_MAX = 10_000
CLOCK_STEP_MS = 10_000
"""How far the wall clock may step back without anything being decided on what was forgotten too early."""


class Reply(Protocol):
    """Who waits for the answers of some posts. Each post gets exactly one, by its tag; neither call may raise."""

    def posted(self, tag: int, comment: Comment, cursor: str) -> None: ...

    def refused(self, tag: int, refusal: Refusal) -> None: ...


@dataclass(slots=True, eq=False)
class Post:
    """A comment that passed the rules and waits to be decided."""

    author_id: str
    author_name: str
    is_exempt: bool
    """Hosts and moderators: limits, slow mode and bans don't apply."""
    text: str
    lag_ms: int
    meta_json: str
    digest: int
    """Of author and request_id; 0 when there is none."""
    size: int
    """Bytes that it will take in the log, at most."""
    reply: Reply
    tag: int
    arrived: float
    """Monotonic seconds."""
    is_open: bool = True
    """Has not been answered yet."""


def ended() -> Refusal:
    return Refusal(Reason.STREAM_ENDED, "the stream has ended")


class Ledger:
    """The state of one stream after the message ``last_seq``."""

    def __init__(self, stream: Stream, rate: UserRate, ids: CommentIds) -> None:
        self.stream = stream
        """The stream with every event folded in. Not changed in place: whoever took it keeps what they saw."""
        self.last_seq = 0
        """Sequence of the stream's last message; 0 when the log holds none."""
        self.last_at_ms = stream.started_at_ms
        """Time of the last comment or end: no later one may be earlier."""
        self.unprojected: list[Event] = []
        """Events that changed the stream and may not be in the registry yet, in the log's order."""
        self.requests = Requests()
        self.limits = UserLimits(rate)
        self.ids = ids
        self.begin_stretch()
        self._deleted: dict[str, None] = {}

    @property
    def has_ended(self) -> bool:
        return self.stream.state == STREAM_STATE_ENDED

    def rebase(self, stream: Stream) -> None:
        """The registry holds ``stream``: what it does not know yet is folded into that."""
        self.stream = fold(stream, self.unprojected)

    def at(self, now_ms: int) -> int:
        """The time that an event decided now gets."""
        return max(now_ms, self.last_at_ms)

    def is_deleted(self, comment_id: str) -> bool:
        """Was deleted not long ago (the last 10,000 that this ledger has read); older ones it does not know."""
        return comment_id in self._deleted

    def apply(self, seq: int, batch: EventBatch) -> None:
        """The next message of the log, whoever appended it. One that was applied before changes nothing."""
        if seq > self.last_seq:
            self.learn(seq, gist_of(batch))
            self.charge(batch)

    def learn(self, seq: int, gist: Gist) -> None:
        """Like ``apply``, but for the limits: those want ``charge`` with the message itself, once."""
        if seq <= self.last_seq:
            return
        self.last_seq = seq
        match gist:
            case Comments(at_ms, digests):
                self.last_at_ms = max(self.last_at_ms, at_ms)
                self.requests.remember(seq, self.last_at_ms, digests)
            case Change(event):
                self._apply_change(event)
        self.stretch.learn(seq, self.last_at_ms, gist)

    def adopt(self, summary: Summary) -> None:
        """Like ``learn`` with each of a summary's messages; they come after all that was learned before."""
        self.last_seq = summary.last_seq
        self.last_at_ms = max(self.last_at_ms, summary.times_ms[-1])
        self.requests.remember_many(summary.seqs, summary.times_ms, summary.counts, summary.digests)
        for _, event in summary.changes:
            self._apply_change(event)
        self.begin_stretch()

    def begin_stretch(self) -> None:
        """What is learned from now on belongs to another summary."""
        self.stretch = Stretch(self.last_seq)

    def commit(self, seq: int, draft: "Draft") -> None:
        """A draft of this state was appended as message ``seq``: like ``apply`` with its batch, at half the price."""
        if seq > self.last_seq:
            self.learn(seq, draft.gist)
            self.limits.adopt(draft.full_at_ms, draft.at_ms)
            self.stretch.charge(draft.full_at_ms, draft.at_ms)

    def charge(self, batch: EventBatch) -> None:
        """Charges the authors of a message's comments. In the log's order, each message once."""
        events = batch.events
        if not events or not events[0].HasField("posted"):
            return
        comments = (event.posted.comment for event in events)
        for at_ms, together in groupby(comments, attrgetter("posted_at_ms")):
            full_at_ms = self.limits.charge((comment.author_id for comment in together), at_ms)
            self.stretch.charge(full_at_ms, at_ms)

    def _apply_change(self, event: Event) -> None:
        kind = event.WhichOneof("kind")
        if kind == "deleted":
            self._deleted[event.deleted.comment_id] = None
            if len(self._deleted) > DELETED_MAX:
                del self._deleted[next(iter(self._deleted))]
            if self.stream.pinned.comment_id != event.deleted.comment_id:
                return
        elif kind == "ended":
            self.last_at_ms = max(self.last_at_ms, event.ended.ended_at_ms)
        self.unprojected.append(event)
        self.stream = fold(self.stream, (event,))

    def forget_requests(self) -> None:
        """Drops what no draft can need any more: a ledger that learns a lot at once stays within its bounds."""
        self.requests.forget(self.last_at_ms - CLOCK_STEP_MS)

    def draft(self, now_ms: int, banned: AbstractSet[str]) -> "Draft":
        """An empty draft on top of this state; ``now_ms`` is the wall clock."""
        at_ms = self.at(now_ms)
        self.requests.forget(at_ms - CLOCK_STEP_MS)
        self.limits.forget(at_ms - CLOCK_STEP_MS, self.stream.slow_mode_s)
        return Draft(self, at_ms, banned)


class Draft:
    """What would be appended next: posts decided one after the other, the ledger left as it is.

    After ``add`` each post stands in exactly one of ``accepted``, ``repeated`` and ``refused``.
    """

    def __init__(self, ledger: Ledger, at_ms: int, banned: AbstractSet[str]) -> None:
        # What every post is compared with, and written with, looked up once.
        self._requests = ledger.requests
        self._limits = ledger.limits
        self._ids = ledger.ids
        self._has_ended = ledger.has_ended
        self._stream_id = ledger.stream.stream_id
        self._slow_mode_s = ledger.stream.slow_mode_s
        self._banned = banned
        self.at_ms = at_ms
        """When they are posted, ms since the Unix epoch."""
        self._offset_ms = at_ms - ledger.stream.started_at_ms
        self._indices: dict[int, int] = {}
        self._digests: array[int] = array("Q")
        self.batch = EventBatch()
        """The comments, in order; empty when none was accepted."""
        self._events = self.batch.events
        self.comments: list[Comment] = []
        """Those of ``batch``: each way to one of them through its event makes three objects."""
        self.full_at_ms: dict[str, float] = {}
        """When the buckets of the authors of these comments will be full again, ms since the Unix epoch."""
        self.accepted: list[tuple[Post, int]] = []
        """With the index in ``comments``; a repetition within the batch shares that of the first."""
        self.repeated: list[tuple[Post, Place]] = []
        """Posts that stand in the log already, and where."""
        self.refused: list[tuple[Post, Refusal]] = []

    @property
    def gist(self) -> Gist:
        """That of ``batch``."""
        return Comments(self.at_ms, self._digests) if self._digests else None

    def add(self, posts: Sequence[Post]) -> None:
        """Decides posts, one after the other, after all those that were added before."""
        # What was accepted once is answered alike for ever: repetitions come before every reason to refuse.
        known = self._requests.find_all({post.digest for post in posts})
        indices, comments, accepted = self._indices, self.comments, self.accepted
        for post in posts:
            digest = post.digest
            try:
                if digest in known:
                    self.repeated.append((post, known[digest]))
                    continue
                index = indices.get(digest)
                if index is None:
                    self.full_at_ms[post.author_id] = self._admit(post)
                    index = len(comments)
                    comments.append(self._write(post))
                    self._digests.append(digest)
                    if digest:
                        indices[digest] = index
                else:
                    check_repetition(comments[index], post)
                accepted.append((post, index))
            except Refusal as refusal:
                self.refused.append((post, refusal))

    def fail(self, refusal: Refusal) -> None:
        """Nothing of the batch can be stored: those who were accepted are refused."""
        self.refused += [(post, refusal) for post, _ in self.accepted]
        self.accepted = []

    def _admit(self, post: Post) -> float:
        """When its author's bucket will be full again; raises Refusal."""
        if self._has_ended:
            raise ended()
        author_id = post.author_id
        drafted_ms = self.full_at_ms.get(author_id)
        if post.is_exempt:
            return self._limits.charged(author_id, drafted_ms, self.at_ms)
        if author_id in self._banned:
            raise Refusal(Reason.BANNED, "a moderator has banned this user from the stream")
        return self._limits.admit(author_id, drafted_ms, self.at_ms, self._slow_mode_s)

    def _write(self, post: Post) -> Comment:
        at_ms = self.at_ms
        posted = self._events.add().posted
        posted.request_digest = post.digest
        comment = posted.comment
        comment.comment_id = self._ids.next(at_ms)
        comment.stream_id = self._stream_id
        comment.author_id = post.author_id
        comment.author_name = post.author_name
        comment.text = post.text
        comment.posted_at_ms = at_ms
        comment.offset_ms = self._offset_ms
        if post.lag_ms:
            comment.lag_ms = post.lag_ms
        if post.meta_json:
            comment.meta_json = post.meta_json
        return comment


def check_repetition(first: Comment, post: Post) -> None:
    """Raises Refusal(KEY_REUSED) when the post is another comment under the first one's request_id."""
    if first.text != post.text or first.author_id != post.author_id:
        raise Refusal(Reason.KEY_REUSED, "this request_id was used for another text")


def fold(stream: Stream, events: Iterable[Event]) -> Stream:
    """The stream after these events, in order; the given one is left as it is.

    Folding the same last events in again changes nothing, so a core that does not know how far the registry got may
    simply do it again.
    """
    folded = Stream()
    folded.CopyFrom(stream)
    for event in events:
        match event.WhichOneof("kind"):
            case "deleted":
                if folded.pinned.comment_id == event.deleted.comment_id:
                    folded.ClearField("pinned")
            case "pinned":
                folded.pinned.CopyFrom(event.pinned.comment)
            case "unpinned":
                folded.ClearField("pinned")
            case "updated":
                folded.title = event.updated.stream.title
                folded.visibility = event.updated.stream.visibility
                folded.slow_mode_s = event.updated.stream.slow_mode_s
            case "ending":
                folded.ends_at_ms = event.ending.ends_at_ms
            case "ended":
                folded.state = STREAM_STATE_ENDED
                folded.ended_at_ms = event.ended.ended_at_ms
                folded.ClearField("ends_at_ms")
    return folded
