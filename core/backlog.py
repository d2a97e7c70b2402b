"""How many posts wait for an answer in this process, over all streams."""

import asyncio

from core.metrics import WAITING_POSTS

OPEN_MAX = 50_000


class Backlog:
    """Counts the posts that were taken in and not answered yet."""

    def __init__(self, open_max: int = OPEN_MAX) -> None:
        self._max = open_max
        self._open = 0
        self._empty = asyncio.Event()
        self._empty.set()
        WAITING_POSTS.set_function(lambda: self._open)

    def enter(self, posts: int) -> int:
        """So many more wait, and have to leave; returns how many of them may stay."""
        if not self._open:
            self._empty.clear()
        room = max(0, self._max - self._open)
        self._open += posts
        return min(posts, room)

    def leave(self, answered: int) -> None:
        self._open -= answered
        if not self._open:
            self._empty.set()

    async def emptied(self, timeout_s: float) -> bool:
        """Waits until every post is answered; False when that took too long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
