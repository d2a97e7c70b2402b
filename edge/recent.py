"""The latest comments: from this edge's memory of the feed, and from storage what that does not hold.

A stream that nobody watches here is joined for it, as for a viewer: fanout has its last comments in memory, and those
who ask next find them here.
"""

from dataclasses import dataclass

import trio

from edge.feeds import Feeds
from edge.pages import Pages, Recent, RecentPage, Remembered
from edge.recent_comments import KEPT, Latest
from edge.sampling import Selection
from edge.subscribe import require_watch
from edge.upstream import Metadata
from livecomments.calls import is_passing
from livecomments.cursor import Cursor
from livecomments.errors import Refusal
from livecomments.page_tokens import PageTokens
from livecomments.recent_pages import token_before
from livecomments.tokens import Identity
from livecomments.v1 import history_service_pb2 as history

_DEFAULT = 100
"""Comments, as the proto has it."""
_JOIN_S = 1.0
"""How long fanout may take for a stream that is not known here; then storage is asked."""


@dataclass(frozen=True, slots=True)
class _Known:
    latest: Latest
    cursor: Cursor
    is_current: bool
    """Nothing is known to be missing: the feed is heard, and has no hole."""

    @property
    def will_do(self) -> bool:
        """Storage would know no more."""
        return self.is_current and self.latest.is_full


class RecentReads:
    """Reads the latest comments."""

    def __init__(self, feeds: Feeds, pages: Pages, tokens: PageTokens) -> None:
        self._feeds = feeds
        self._pages = pages
        self._tokens = tokens

    async def read(
        self, wanted: history.ListRecentCommentsRequest, identity: Identity, caller: Metadata
    ) -> Recent | Remembered:
        """The latest comments, at most ``page_size`` (0: 100), or those before a page token. Raises Refusal.

        ``identity`` says what may be read, ``caller`` is its metadata for storage. What memory holds is given although
        storage would know more when no storage answers.
        """
        is_storages = wanted.page_token or not 0 <= wanted.page_size <= KEPT
        known = None if is_storages else await self._known(wanted, identity)
        if known is None:
            return await self._pages.recent(wanted, caller)
        if not known.will_do:
            try:
                return await self._pages.recent(wanted, caller)
            except Refusal as refusal:
                if not is_passing(refusal):
                    raise
        return self._page(wanted.stream_id, known)

    async def _known(self, wanted: history.ListRecentCommentsRequest, identity: Identity) -> _Known | None:
        """None for what fanout refuses, too: it is storage that words refusals. Raises one for a private stream."""
        feeds, stream_id = self._feeds, wanted.stream_id
        if feeds.known(stream_id) is None and not feeds.is_linked:
            return None
        memory = None
        try:
            with trio.move_on_after(_JOIN_S):
                async with feeds.topic(stream_id) as (topic, memory):
                    is_current = topic.held is None and not memory.degraded
        except Refusal:
            return None
        if memory is None:
            return None
        require_watch(identity, memory.stream, Selection.SAMPLE)
        latest = memory.recent.page(wanted.page_size or _DEFAULT)
        return None if latest is None else _Known(latest, memory.cursor, is_current)

    def _page(self, stream_id: str, known: _Known) -> Remembered:
        comments, before, _ = known.latest
        token = None if before is None else token_before(self._tokens, stream_id, *before)
        return Remembered(stream_id, RecentPage(comments, str(known.cursor), token))
