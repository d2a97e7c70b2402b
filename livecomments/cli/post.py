"""``livecomments post``."""

import asyncio

from livecomments.cli import CommandError
from livecomments.client import LiveComments, Refusal


def post_comment(core: str, token: str, stream_id: str, text: str) -> str:
    """Posts a comment; returns its id. Raises CommandError when it is refused."""

    async def post() -> str:
        async with LiveComments(core=core, token=token) as live:
            return (await live.post(stream_id, text)).comment.comment_id

    try:
        return asyncio.run(post())
    except Refusal as refusal:
        raise CommandError(str(refusal)) from refusal
