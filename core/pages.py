"""Page tokens of ListStreams: where the last page ended, bound to the list that it was given for. Pure."""

import struct
from typing import NamedTuple

from livecomments.page_tokens import PageTokens

_TIME = struct.Struct(">q")
_KIND = "streams"


class StreamPosition(NamedTuple):
    """A stream's place in the list, newest first; of those that started together the greater id comes first."""

    started_at_ms: int
    stream_id: str


def page_token(tokens: PageTokens, position: StreamPosition, state: int) -> str:
    """The token of what follows ``position`` in the list of this state."""
    return tokens.sign(_TIME.pack(position.started_at_ms) + position.stream_id.encode(), _KIND, state)


def read_page_token(tokens: PageTokens, token: str, state: int) -> StreamPosition:
    """Raises Refusal(BAD_PAGE_TOKEN) for a token that is malformed or was given for another list."""
    place = tokens.read(token, _KIND, state)
    (started_at_ms,) = _TIME.unpack_from(place)
    return StreamPosition(started_at_ms, place[_TIME.size :].decode())
