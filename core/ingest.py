"""The answers of a long-lived call: what gathers while a message is being written goes as the next one."""

import asyncio
from collections import deque

from livecomments.errors import Refusal
from livecomments.v1 import comment_service_pb2 as pb
from livecomments.v1.comment_pb2 import Comment

OPEN_MAX = 25_000
"""Items without a written answer at which a call is not read any further."""
_RESULTS_MAX = 500
"""Answers in one message: with the longest texts that the settings allow it stays below 16 MiB."""


class IngestCall:
    """A Reply for the posts of one call. Bounded by ``room``: a caller that does not take its answers is not read."""

    def __init__(self) -> None:
        self._fill_anew()
        self._full: deque[pb.IngestCommentsResponse] = deque()
        self._open = 0
        self._is_finished = False
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def expect(self, items: int) -> None:
        """So many more answers will come."""
        self._open += items
        if self._open >= OPEN_MAX:
            self._room.clear()

    def finish(self) -> None:
        """No more items will come."""
        self._is_finished = True
        self._ready.set()

    async def room(self) -> None:
        """Waits until fewer than OPEN_MAX items are open."""
        await self._room.wait()

    def posted(self, tag: int, comment: Comment, cursor: str) -> None:
        result = self._filling.results.add()
        result.tag = tag
        posted = result.posted
        posted.comment.CopyFrom(comment)
        posted.cursor = cursor
        self._filled()

    def refused(self, tag: int, refusal: Refusal) -> None:
        result = self._filling.results.add()
        result.tag = tag
        result.problem.CopyFrom(refusal.to_problem())
        self._filled()

    async def take(self) -> pb.IngestCommentsResponse | None:
        """The next answers to write; None when no more items come and all were answered.

        Cancelled, it takes nothing.
        """
        while not self._full and not self._filled_by:
            if self._is_finished and not self._open:
                return None
            self._ready.clear()
            await self._ready.wait()
        if self._full:
            response = self._full.popleft()
        else:
            response = self._filling
            self._fill_anew()
        self._open -= len(response.results)
        if self._open < OPEN_MAX:
            self._room.set()
        return response

    def _filled(self) -> None:
        self._filled_by += 1
        if self._filled_by == 1:
            self._ready.set()
        elif self._filled_by >= _RESULTS_MAX:
            self._full.append(self._filling)
            self._fill_anew()

    def _fill_anew(self) -> None:
        self._filling = pb.IngestCommentsResponse()
        # Counted beside it: each look at what a message holds makes an object.
        self._filled_by = 0
