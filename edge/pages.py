"""Pages of stored comments, read from storage and written: once for all who ask for the same at the same time."""

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, ClassVar

import msgspec
import trio
from google.protobuf.message import Message

from edge.merging import Merger
from edge.shapes import CommentShape, CursorText, comment_message, comment_shapes, encode
from edge.storages import Storages
from edge.upstream import Metadata
from livecomments.v1 import history_service_pb2 as history


class ReplayPage(msgspec.Struct, omit_defaults=True):
    """A page of a replay window, in the log's order."""

    comments: list[CommentShape]
    through_cursor: Annotated[str, msgspec.Meta(description="The store has everything up to this cursor.")]
    complete: Annotated[bool, msgspec.Meta(description="The stream has ended, and nothing will be added.")]
    next_pagination_token: str | None = None


class RecentPage(msgspec.Struct, omit_defaults=True):
    """The latest comments, oldest first."""

    comments: list[CommentShape]
    cursor: CursorText
    oldest_cursor: Annotated[str | None, msgspec.Meta(description="For the page before, as cursor.")] = None


@dataclass(frozen=True)
class Replay:
    """A page of a replay window, in each form that is asked for."""

    message: history.ListCommentsResponse
    """As storage has given it."""
    is_anyones: bool
    """No token was needed for it, or given."""

    @cached_property
    def body(self) -> bytes:
        """JSON."""
        return encode(self._shape)

    @cached_property
    def etag(self) -> str:
        """Of what anyone may keep, quoted; empty for what nobody may. A weak one (RFC 9110, section 8.8.1): it tells
        the comments, and not how far the store has come meanwhile.
        """
        if not self.message.complete or not self.is_anyones:
            return ""
        content = encode((self._shape.comments, self._shape.next_pagination_token))
        return f'"{blake2b(content, digest_size=12).hexdigest()}"'

    @cached_property
    def _shape(self) -> ReplayPage:
        page = self.message
        return ReplayPage(
            comment_shapes(page.comments), page.through_cursor, page.complete, page.next_page_token or None
        )


@dataclass(frozen=True)
class Recent:
    """The latest comments, or those before them, in each form that is asked for."""

    message: history.ListRecentCommentsResponse
    """As storage has given it."""
    etag = ""

    @cached_property
    def body(self) -> bytes:
        """JSON."""
        page = self.message
        return encode(RecentPage(comment_shapes(page.comments), page.through_cursor, page.next_page_token or None))


@dataclass(frozen=True)
class Remembered:
    """The latest comments as this edge's memory has them, in each form that is asked for."""

    stream_id: str
    page: RecentPage
    etag: ClassVar[str] = ""

    @cached_property
    def body(self) -> bytes:
        """JSON."""
        return encode(self.page)

    @cached_property
    def message(self) -> history.ListRecentCommentsResponse:
        """As storage would have given it."""
        return history.ListRecentCommentsResponse(
            comments=[comment_message(comment, self.stream_id) for comment in self.page.comments],
            next_page_token=self.page.oldest_cursor or "",
            through_cursor=self.page.cursor,
        )


class Pages:
    """Reads pages, identical ones once at a time. Open with ``open_pages()``; its methods raise Refusal.

    ``caller`` is whose metadata the read is made with: a token may open a private stream, so only what the same caller
    asks for is identical.
    """

    def __init__(self, storages: Storages, nursery: trio.Nursery) -> None:
        self._storages = storages
        self._replays: Merger[Replay] = Merger(nursery)
        self._recents: Merger[Recent] = Merger(nursery)

    async def replay(self, wanted: history.ListCommentsRequest, caller: Metadata) -> Replay:
        """A page of a window."""
        return await self._replays.share(_key(wanted, caller), lambda: self._read_replay(wanted, caller))

    async def recent(self, wanted: history.ListRecentCommentsRequest, caller: Metadata) -> Recent:
        """The latest comments, or those before a page token."""
        return await self._recents.share(_key(wanted, caller), lambda: self._read_recent(wanted, caller))

    async def _read_replay(self, wanted: history.ListCommentsRequest, caller: Metadata) -> Replay:
        # What a token brought is nobody else's.
        return Replay(await self._storages.read(lambda stub: stub.ListComments, wanted, caller), not caller)

    async def _read_recent(self, wanted: history.ListRecentCommentsRequest, caller: Metadata) -> Recent:
        return Recent(await self._storages.read(lambda stub: stub.ListRecentComments, wanted, caller))


def _key(wanted: Message, caller: Metadata) -> Hashable:
    return wanted.SerializeToString(deterministic=True), caller


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
