"""What HistoryService's requests must hold: checked here, before anything is read. Pure.

Each function raises Refusal: INVALID_FIELD with the field's name in the proto, or BAD_PAGE_TOKEN.
"""

from dataclasses import dataclass

from livecomments.errors import invalid
from livecomments.page_tokens import PageTokens
from livecomments.recent_pages import KIND as _RECENT
from livecomments.recent_pages import token_before
from livecomments.stream_ids import check_stream_id
from livecomments.v1.history_service_pb2 import ListCommentsRequest, ListRecentCommentsRequest
from storage.comment_ids import posted_at_of
from storage.pages import page_token, place_of
from storage.store import LAST, Place

_START_MAX_MS = 100 * 366 * 86_400_000
"""A hundred years: no stream lasts longer, and no sum of it overflows."""
_DURATION_MAX_MS = 3_600_000
_WINDOW_DEFAULT, _WINDOW_MAX = 200, 1_000
_RECENT_DEFAULT, _RECENT_MAX = 100, 200
_WINDOW = "window"
"""What page tokens are bound to first. Not to the page size: the next page may be of another."""


@dataclass(frozen=True, slots=True)
class Window:
    """What ListComments asks for: up to ``limit`` comments behind ``after``, before ``end_offset_ms``."""

    stream_id: str
    start_offset_ms: int
    end_offset_ms: int
    after: Place
    limit: int

    def token(self, tokens: PageTokens, last: Place) -> str:
        """For the page behind ``last``."""
        return page_token(tokens, last, _WINDOW, self.stream_id, self.start_offset_ms, self.end_offset_ms)


@dataclass(frozen=True, slots=True)
class Recent:
    """What ListRecentComments asks for: the last ``limit`` comments before ``before``."""

    stream_id: str
    before: Place
    limit: int

    def token(self, tokens: PageTokens, first: Place) -> str:
        """For the page before ``first``."""
        return token_before(tokens, self.stream_id, first.offset_ms, first.seq, first.index)


def stream_id_of(text: str) -> str:
    check_stream_id(text)
    return text


def comment_posted_at(comment_id: str) -> int:
    """When the comment of this id was posted, ms since the Unix epoch."""
    try:
        return posted_at_of(comment_id)
    except ValueError as error:
        raise invalid("comment_id", str(error)) from error


def window_of(request: ListCommentsRequest, tokens: PageTokens) -> Window:
    stream_id, start = stream_id_of(request.stream_id), request.start_offset_ms
    if not 0 <= start <= _START_MAX_MS:
        raise invalid("start_offset_ms", f"must be 0 to {_START_MAX_MS}")
    if not 1 <= request.duration_ms <= _DURATION_MAX_MS:
        raise invalid("duration_ms", f"must be 1 to {_DURATION_MAX_MS}")
    limit = _page_size(request.page_size, _WINDOW_DEFAULT, _WINDOW_MAX)
    end = start + request.duration_ms
    after = Place(start, 0, 0)
    if request.page_token:
        after = place_of(tokens, request.page_token, _WINDOW, stream_id, start, end)
    return Window(stream_id, start, end, after, limit)


def recent_of(request: ListRecentCommentsRequest, tokens: PageTokens) -> Recent:
    stream_id = stream_id_of(request.stream_id)
    limit = _page_size(request.page_size, _RECENT_DEFAULT, _RECENT_MAX)
    before = place_of(tokens, request.page_token, _RECENT, stream_id) if request.page_token else LAST
    return Recent(stream_id, before, limit)


def _page_size(given: int, default: int, most: int) -> int:
    if not 0 <= given <= most:
        raise invalid("page_size", f"must be 0 to {most}; 0 means {default}")
    return given or default
