"""The answers to posts that were committed before, rebuilt from the log."""

import asyncio
from collections.abc import Sequence

from core.backlog import Backlog
from core.ledger import Post, check_repetition
from core.metrics import POSTS
from core.requests import Place
from core.stream_log import LogUnreadable, StreamLog
from core.unavailable import not_confirmed
from livecomments.cursor import Cursor
from livecomments.errors import Refusal
from livecomments.v1.comment_pb2 import EventBatch


class Repeats:
    """Reads first answers beside the committers, in tasks of the given group. The backlog bounds how many."""

    def __init__(self, tasks: asyncio.TaskGroup, backlog: Backlog) -> None:
        self._tasks = tasks
        self._backlog = backlog

    def answer(self, stream_log: StreamLog, repeated: Sequence[tuple[Post, Place]]) -> None:
        """Answers each post as its first was answered, or with KEY_REUSED when it is another comment.

        NOT_CONFIRMED when the log can't be read in time.
        """
        self._tasks.create_task(self._answer(stream_log, repeated))

    async def _answer(self, stream_log: StreamLog, repeated: Sequence[tuple[Post, Place]]) -> None:
        batches: dict[int, EventBatch | None] = {}
        try:
            for _, place in repeated:
                if place.seq not in batches:
                    message = await stream_log.next(place.seq)
                    batches[place.seq] = message.batch if message and message.seq == place.seq else None
        except LogUnreadable:
            # Once is enough: the others would wait as long.
            pass
        finally:
            for post, place in repeated:
                self._settle(post, place, batches.get(place.seq), stream_log.shard.epoch)

    def _settle(self, post: Post, place: Place, batch: EventBatch | None, epoch: str) -> None:
        if not post.is_open:
            return
        post.is_open = False
        self._backlog.leave(1)
        try:
            if batch is None:
                raise not_confirmed()
            comment = batch.events[place.index].posted.comment
            check_repetition(comment, post)
        except Refusal as refusal:
            POSTS.labels(refusal.reason).inc()
            post.reply.refused(post.tag, refusal)
        else:
            POSTS.labels("REPEATED").inc()
            post.reply.posted(post.tag, comment, str(Cursor(epoch, place.seq)))
