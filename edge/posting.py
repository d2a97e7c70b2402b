"""Posts on their way to one core, many to a message."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import trio

from edge.upstream import Duplex
from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as pb

_EXPIRE_EVERY_S = 0.1

Link = Duplex[pb.IngestItem, pb.IngestCommentsResponse]
Settle = Callable[[pb.PostCommentResponse | Refusal], None]
"""Takes a post's answer: once, on the loop. It may neither wait nor raise."""


@dataclass(slots=True, eq=False)
class Post:
    """A post that waits for its answer."""

    item: pb.IngestItem
    stream_id: str
    due: float
    """Monotonic seconds at which its client hears 503."""
    settle: Settle
    was_sent: bool = False


def merge_posts(items: list[pb.IngestItem]) -> list[pb.IngestCommentsRequest]:
    """One message of many."""
    return [pb.IngestCommentsRequest(items=items)]


class Posts:
    """The posts of one core. Every one has a request_id, so that repeating it through a new stream is safe.

    What gathers while the last message is being written goes as one. Waiting posts are bounded by count and age; one
    stream may have half of them, so that one whose log hangs leaves the others their room.
    """

    def __init__(self, waiting_max: int, wait_s: float) -> None:
        self._waiting_max = waiting_max
        self._of_one_max = max(1, waiting_max // 2)
        self._wait_s = wait_s
        self._tags = itertools.count(1)
        self._waiting: dict[int, Post] = {}
        self._waiting_of: dict[str, int] = {}
        """How many, by stream."""
        self._link: Link | None = None

    def post(self, item: pb.IngestItem, settle: Settle) -> None:
        """Sends a post. ``settle`` is given the core's answer, or why there is none.

        That is a Refusal: the core's own, OVERLOADED when it was surely not taken, NOT_CONFIRMED when nobody knows.
        Raises Refusal(OVERLOADED) when too many wait; ``settle`` is not called then.
        """
        stream_id = item.post.stream_id
        if len(self._waiting) >= self._waiting_max or self._waiting_of.get(stream_id, 0) >= self._of_one_max:
            raise Refusal(Reason.OVERLOADED, "too many posts are waiting", retry_after_ms=random.randint(500, 2_000))
        self.adopt(Post(item, stream_id, time.monotonic() + self._wait_s, settle))

    def adopt(self, post: Post) -> None:
        """Takes a post in, new or from a core that was lost."""
        tag = post.item.tag = next(self._tags)
        self._waiting[tag] = post
        self._waiting_of[post.stream_id] = self._waiting_of.get(post.stream_id, 0) + 1
        if self._link is not None:
            self._send(self._link, post)

    def take_unanswered(self) -> list[Post]:
        """Gives away all that waits, oldest first."""
        posts = list(self._waiting.values())
        self._waiting.clear()
        self._waiting_of.clear()
        return posts

    async def follow(self, link: Link) -> None:
        """Sends what waits and takes answers, until the stream ends."""
        self._link = link
        try:
            for post in self._waiting.values():
                self._send(link, post)
            async for response in link:
                for result in response.results:
                    self._settle(result)
        finally:
            self._link = None

    async def expire(self) -> None:
        """Tells those whose time is up."""
        while True:
            await trio.sleep(_EXPIRE_EVERY_S)
            now = time.monotonic()
            for tag in [tag for tag, post in self._waiting.items() if post.due <= now]:
                post = self._leave(tag)
                if post is None:
                    continue  # answered by what another's answer led to
                retry_after_ms = random.randint(500, 2_000)
                if post.was_sent:
                    detail = "it is not known whether the comment was taken: repeat it with the same Idempotency-Key"
                    post.settle(Refusal(Reason.NOT_CONFIRMED, detail, retry_after_ms=retry_after_ms))
                else:
                    post.settle(Refusal(Reason.OVERLOADED, "no core took the comment", retry_after_ms=retry_after_ms))

    def _send(self, link: Link, post: Post) -> None:
        post.was_sent = True
        link.send(post.item)

    def _settle(self, result: pb.IngestResult) -> None:
        post = self._leave(result.tag)
        if post is None:
            return  # its time was up
        if result.WhichOneof("outcome") == "posted":
            post.settle(result.posted)
        else:
            post.settle(Refusal.from_problem(result.problem))

    def _leave(self, tag: int) -> Post | None:
        post = self._waiting.pop(tag, None)
        if post is not None:
            left = self._waiting_of[post.stream_id] - 1
            if left:
                self._waiting_of[post.stream_id] = left
            else:
                del self._waiting_of[post.stream_id]
        return post
