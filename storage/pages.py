"""Where a page of comments ended, as a page token. Pure."""

from livecomments.page_tokens import PageTokens
from livecomments.recent_pages import PLACE
from storage.store import Place


def page_token(tokens: PageTokens, place: Place, *request: str | int) -> str:
    """The token that goes on behind (or before) ``place`` in the listing that ``request`` asks for."""
    return tokens.sign(PLACE.pack(place.offset_ms, place.seq, place.index), *request)


def place_of(tokens: PageTokens, token: str, *request: str | int) -> Place:
    """The place that a token holds; raises Refusal(BAD_PAGE_TOKEN) unless it was given for this very ``request``."""
    offset_ms, seq, index = PLACE.unpack(tokens.read(token, *request))
    return Place(offset_ms, seq, index)
