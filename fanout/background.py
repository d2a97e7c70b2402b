"""Tasks that serve a context and end with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def background() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose tasks are cancelled, and waited for, when the body ends. A task that fails ends the body.

    asyncio.TaskGroup would wait for them; it has nothing like the cancel scope of a trio nursery.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _BodyEnded
    except* _BodyEnded:
        pass


class _BodyEnded(Exception):
    pass
