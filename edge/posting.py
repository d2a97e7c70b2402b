"""Posts on their way to one core, many to a message."""

import itertools
import random
import time

import trio

from edge.upstream import Duplex
from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as pb

_EXPIRE_EVERY_S = 0.1

Link = Duplex[pb.IngestCommentsRequest, pb.IngestCommentsResponse]


class Post:
    """A post that waits for its answer."""

    __slots__ = ("_done", "_outcome", "due", "item", "was_sent")

    def __init__(self, item: pb.IngestItem, due: float) -> None:
        self.item = item
        self.due = due
        """Monotonic seconds at which its client hears 503."""
        self.was_sent = False
        self._done = trio.Event()
        self._outcome: pb.PostCommentResponse | Refusal | None = None

    def settle(self, outcome: pb.PostCommentResponse | Refusal) -> None:
        self._outcome = outcome
        self._done.set()

    async def answer(self) -> pb.PostCommentResponse:
        await self._done.wait()
        if isinstance(self._outcome, pb.PostCommentResponse):
            return self._outcome
        assert self._outcome is not None
        raise self._outcome


def merge_posts(requests: list[pb.IngestCommentsRequest]) -> list[pb.IngestCommentsRequest]:
    """One message of many."""
    merged = pb.IngestCommentsRequest()
    for request in requests:
        merged.MergeFrom(request)
    return [merged]


class Posts:
    """The posts of one core. Every one has a request_id, so that repeating it through a new stream is safe.

    What gathers while the last message is being written goes as one. Waiting posts are bounded by count and age.
    """

    def __init__(self, waiting_max: int, wait_s: float) -> None:
        self._waiting_max = waiting_max
        self._wait_s = wait_s
        self._tags = itertools.count(1)
        self._waiting: dict[int, Post] = {}
        self._link: Link | None = None

    async def post(self, item: pb.IngestItem) -> pb.PostCommentResponse:
        """The core's answer. A cancelled caller leaves the post on its way: it may be committed.

        Raises Refusal: the core's own, OVERLOADED when it was surely not taken, NOT_CONFIRMED when nobody knows.
        """
        if len(self._waiting) >= self._waiting_max:
            raise Refusal(Reason.OVERLOADED, "too many posts are waiting", retry_after_ms=random.randint(500, 2_000))
        post = Post(item, time.monotonic() + self._wait_s)
        self.adopt(post)
        return await post.answer()

    def adopt(self, post: Post) -> None:
        """Takes a post in, new or from a core that was lost."""
        post.item.tag = next(self._tags)
        self._waiting[post.item.tag] = post
        if self._link is not None:
            self._send(post)

    def take_unanswered(self) -> list[Post]:
        """Gives away all that waits, oldest first."""
        posts = list(self._waiting.values())
        self._waiting.clear()
        return posts

    async def follow(self, link: Link) -> None:
        """Sends what waits and takes answers, until the stream ends."""
        self._link = link
        try:
            for post in self._waiting.values():
                self._send(post)
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
                post = self._waiting.pop(tag)
                retry_after_ms = random.randint(500, 2_000)
                if post.was_sent:
                    detail = "it is not known whether the comment was taken: repeat it with the same Idempotency-Key"
                    post.settle(Refusal(Reason.NOT_CONFIRMED, detail, retry_after_ms=retry_after_ms))
                else:
                    post.settle(Refusal(Reason.OVERLOADED, "no core took the comment", retry_after_ms=retry_after_ms))

    def _send(self, post: Post) -> None:
        assert self._link is not None
        post.was_sent = True
        self._link.send(pb.IngestCommentsRequest(items=[post.item]))

    def _settle(self, result: pb.IngestResult) -> None:
        post = self._waiting.pop(result.tag, None)
        if post is None:
            return  # its time was up
        if result.WhichOneof("outcome") == "posted":
            post.settle(result.posted)
        else:
            post.settle(Refusal.from_problem(result.problem))
