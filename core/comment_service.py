"""CommentService: the gRPC shell of the write path."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from core import changes
from core.access import check_may_watch, check_rules
from core.bans import Bans
from core.committers import Committers
from core.finder import find_comment, find_in_log
from core.history import History
from core.ingest import IngestCall
from core.intake import Intake, SingleReply, refuse
from core.rules import check_user_id
from core.stream_log import StreamLog
from core.unavailable import draining, overloaded
from livecomments.errors import Reason, Refusal
from livecomments.identity import caller
from livecomments.refusals import Context
from livecomments.registry import StreamDirectory
from livecomments.stream_ids import check_stream_id
from livecomments.v1 import comment_service_pb2 as pb
from livecomments.v1.comment_pb2 import Stream
from livecomments.v1.comment_service_pb2_grpc import CommentServiceServicer

LINGER_S = 0.25
"""How long a draining core goes on answering items with DRAINING before it ends the call."""
_LOOKUPS_MAX = 256


class CommentService(CommentServiceServicer):
    """Posts, deletes, pins and bans. The interceptors have checked who may call what."""

    def __init__(
        self,
        *,
        directory: StreamDirectory,
        committers: Committers,
        intake: Intake,
        bans: Bans,
        history: History,
        open_log: Callable[[str], StreamLog],
    ) -> None:
        self._directory = directory
        self._committers = committers
        self._intake = intake
        self._bans = bans
        self._history = history
        self._open_log = open_log
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Ends the Ingest calls once what they brought is answered."""
        self._draining.set()

    async def PostComment(self, request: pb.PostCommentRequest, _context: Context) -> pb.PostCommentResponse:
        check_stream_id(request.stream_id)
        user = caller()
        stream = await self._directory.find(request.stream_id)
        check_may_watch(user, stream)
        reply = SingleReply()
        self._intake.take(request, user, stream, reply)
        return await reply.answer()

    async def IngestComments(  # type: ignore[override]  # writes by itself, so that its tasks have a scope
        self, request_iterator: AsyncIterator[pb.IngestCommentsRequest], context: Context
    ) -> None:
        call = IngestCall()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(request_iterator, call))
            ending = tasks.create_task(self._end_when_drained(call, reading))
            while (response := await call.take()) is not None:
                await context.write(response)
            ending.cancel()

    async def _read(self, requests: AsyncIterator[pb.IngestCommentsRequest], call: IngestCall) -> None:
        lookups: set[asyncio.Task[None]] = set()

        def looked_up(item: pb.IngestItem, lookup: asyncio.Task[None]) -> None:
            lookups.discard(lookup)
            if lookup.cancelled():
                # The call does not end before each of its items is answered.
                refuse(call, item.tag, draining())

        async with asyncio.TaskGroup() as tasks:
            async for request in requests:
                call.expect(len(request.items))
                for item in self._intake.take_items(request.items, call):
                    if len(lookups) >= _LOOKUPS_MAX:
                        refuse(call, item.tag, overloaded("too many unknown streams are being looked up"))
                        continue
                    lookup = tasks.create_task(self._intake.find_and_take_item(item, call))
                    lookups.add(lookup)
                    lookup.add_done_callback(partial(looked_up, item))
                await call.room()
        call.finish()

    async def _end_when_drained(self, call: IngestCall, reading: "asyncio.Task[None]") -> None:
        await self._draining.wait()
        await asyncio.sleep(LINGER_S)
        reading.cancel()
        call.finish()

    async def DeleteComment(self, request: pb.DeleteCommentRequest, _context: Context) -> pb.DeleteCommentResponse:
        stream = await self._find(request.stream_id)
        user = caller()
        check_may_watch(user, stream)
        log = self._open_log(stream.stream_id)
        if user.rules(stream):
            # One that is older than the log can't be checked here; deleting what is not there harms nobody.
            await find_in_log(log, stream, request.comment_id)
        else:
            comment = await find_comment(log, self._history, stream, request.comment_id)
            if comment.author_id != user.user_id:
                raise Refusal(Reason.FORBIDDEN, "only its author, the host and moderators may delete a comment")
        committer = await self._committers.find(stream.stream_id)
        # Two events, two messages: viewers never see a deleted comment pinned.
        await committer.change(changes.unpin(only=request.comment_id))
        await committer.change(changes.delete(request.comment_id))
        return pb.DeleteCommentResponse()

    async def PinComment(self, request: pb.PinCommentRequest, _context: Context) -> pb.PinCommentResponse:
        stream = await self._find_ruled(request.stream_id)
        log = self._open_log(stream.stream_id)
        comment = await find_comment(log, self._history, stream, request.comment_id)
        committer = await self._committers.find(stream.stream_id)
        await committer.change(changes.pin(comment))
        return pb.PinCommentResponse(comment=comment)

    async def UnpinComment(self, request: pb.UnpinCommentRequest, _context: Context) -> pb.UnpinCommentResponse:
        stream = await self._find_ruled(request.stream_id)
        committer = await self._committers.find(stream.stream_id)
        await committer.change(changes.unpin())
        return pb.UnpinCommentResponse()

    async def BanUser(self, request: pb.BanUserRequest, _context: Context) -> pb.BanUserResponse:
        check_user_id(request.user_id)
        stream = await self._find_ruled(request.stream_id)
        await self._bans.ban(stream.stream_id, request.user_id)
        return pb.BanUserResponse()

    async def UnbanUser(self, request: pb.UnbanUserRequest, _context: Context) -> pb.UnbanUserResponse:
        check_user_id(request.user_id)
        stream = await self._find_ruled(request.stream_id)
        await self._bans.unban(stream.stream_id, request.user_id)
        return pb.UnbanUserResponse()

    async def _find(self, stream_id: str) -> Stream:
        if self._draining.is_set():
            raise draining()
        check_stream_id(stream_id)
        return await self._directory.find(stream_id)

    async def _find_ruled(self, stream_id: str) -> Stream:
        stream = await self._find(stream_id)
        check_rules(caller(), stream)
        return stream
