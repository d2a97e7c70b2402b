"""``livecomments tail``: a stream's feed in the terminal."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from livecomments.cli import CommandError
from livecomments.client import FeedEvent, LiveComments, Refusal


class Output(Protocol):
    """Where the events go."""

    def show(self, event: FeedEvent) -> None:
        """Shows one event, at once."""


def tail_stream(fanout: str, token: Callable[[], str], stream_id: str, output: Output) -> None:
    """Shows a stream's feed until it ends. Raises CommandError when it can't be watched."""

    async def tail() -> None:
        async with LiveComments(fanout=fanout, token=token) as live:
            async for event in live.watch(stream_id):
                output.show(event)

    try:
        asyncio.run(tail())
    except Refusal as refusal:
        raise CommandError(str(refusal)) from refusal
