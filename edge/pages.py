"""Pages of stored comments, read from storage and encoded: once for all who ask for the same at the same time."""

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
import trio
from google.protobuf.message import Message

from edge.merging import Merger
from edge.shapes import CommentShape, comment_shapes, encode
from edge.storages import Storages
from edge.upstream import Metadata
from livecomments.errors import Refusal
from livecomments.v1 import history_service_pb2 as history


class ReplayPage(msgspec.Struct, omit_defaults=True):
    """A page of a replay window, in the log's order."""

    comments: list[CommentShape]
    through_cursor: str
    complete: bool
    next_pagination_token: str | None = None


class RecentPage(msgspec.Struct, omit_defaults=True):
    """The latest comments, oldest first."""

    comments: list[CommentShape]
    cursor: str
    oldest_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """An encoded page."""

    body: bytes
    """JSON."""
    etag: str = ""
    """Of what anyone may keep, quoted; empty for what nobody may. A weak one (RFC 9110, section 8.8.1): it tells the
    comments, and not how far the store has come meanwhile.
    """


class Pages:
    """Reads pages, identical ones once at a time. Open with ``open_pages()``; its methods raise Refusal.

    ``caller`` is whose metadata the read is made with: a token may open a private stream, so only what the same caller
    asks for is identical.
    """

    def __init__(self, storages: Storages, nursery: trio.Nursery) -> None:
        self._storages = storages
        self._reads: Merger[Page] = Merger(nursery)

    async def replay(self, wanted: history.ListCommentsRequest, caller: Metadata) -> Page:
        """A page of a window."""
        return await self._reads.share(_key(wanted, caller), lambda: self._read_replay(wanted, caller))

    async def recent(self, wanted: history.ListRecentCommentsRequest, caller: Metadata) -> Page:
        """The latest comments, or those before a page token, which a Refusal calls ``cursor``."""
        return await self._reads.share(_key(wanted, caller), lambda: self._read_recent(wanted, caller))

    async def _read_replay(self, wanted: history.ListCommentsRequest, caller: Metadata) -> Page:
        page = await self._storages.read(lambda stub: stub.ListComments, wanted, caller)
        shape = ReplayPage(
            comment_shapes(page.comments), page.through_cursor, page.complete, page.next_page_token or None
        )
        # What a token brought is nobody else's.
        if not page.complete or caller:
            return Page(encode(shape))
        content = encode((shape.comments, shape.next_pagination_token))
        return Page(encode(shape), f'"{blake2b(content, digest_size=12).hexdigest()}"')

    async def _read_recent(self, wanted: history.ListRecentCommentsRequest, caller: Metadata) -> Page:
        try:
            page = await self._storages.read(lambda stub: stub.ListRecentComments, wanted, caller)
        except Refusal as refusal:
            raise refusal.renamed({"page_token": "cursor"}) from refusal
        return Page(
            encode(RecentPage(comment_shapes(page.comments), page.through_cursor, page.next_page_token or None))
        )


def _key(wanted: Message, caller: Metadata) -> Hashable:
    return type(wanted), wanted.SerializeToString(deterministic=True), caller


@asynccontextmanager
async def open_pages(addresses: Sequence[str]) -> AsyncIterator[Pages]:
    """Pages from the storages at these addresses; what is being read ends with the context."""
    storages = Storages(addresses)
    try:
        async with trio.open_nursery() as nursery:
            yield Pages(storages, nursery)
            nursery.cancel_scope.cancel()
    finally:
        storages.close()
