"""StreamService: the gRPC shell of the streams' life."""

import heapq
import time
from collections.abc import Collection

import uuid_utils

from core import changes
from core.access import check_is_host, check_may_watch, check_rules
from core.committers import Committers
from core.endings import Endings
from core.pages import StreamPosition, page_token, read_page_token
from core.rules import check_notice, check_slow_mode, check_title, check_visibility
from core.streams import Conflict, RegistryUnavailable, StreamStore
from core.unavailable import draining, not_confirmed
from livecomments.errors import Reason, Refusal, invalid
from livecomments.identity import caller
from livecomments.page_tokens import PageTokens
from livecomments.presence import Tally
from livecomments.refusals import Context
from livecomments.registry import StreamDirectory
from livecomments.stream_ids import check_stream_id
from livecomments.v1 import stream_service_pb2 as pb
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_STATE_LIVE, STREAM_STATE_UNSPECIFIED, Stream
from livecomments.v1.stream_service_pb2_grpc import StreamServiceServicer

PAGE_DEFAULT = 50
PAGE_MAX = 500
_UPDATABLE = ("title", "visibility", "slow_mode_s")


class StreamService(StreamServiceServicer):
    """Creates, shows, changes and ends streams. The interceptors have checked who may call what."""

    def __init__(
        self,
        directory: StreamDirectory,
        store: StreamStore,
        committers: Committers,
        endings: Endings,
        *,
        tally: Tally,
        tokens: PageTokens,
    ) -> None:
        self._directory = directory
        self._store = store
        self._committers = committers
        self._endings = endings
        self._tally = tally
        self._tokens = tokens
        self._is_draining = False

    def drain(self) -> None:
        """Refuses changes from now on."""
        self._is_draining = True

    async def CreateStream(self, request: pb.CreateStreamRequest, _context: Context) -> pb.CreateStreamResponse:
        self._check_open()
        host = caller()
        check_is_host(host)
        if request.stream_id:
            check_stream_id(request.stream_id)
        wanted = Stream(
            stream_id=request.stream_id or str(uuid_utils.uuid7()),
            title=check_title(request.title),
            host_id=host.user_id,
            state=STREAM_STATE_LIVE,
            visibility=check_visibility(request.visibility),
            started_at_ms=time.time_ns() // 1_000_000,
            slow_mode_s=check_slow_mode(request.slow_mode_s),
        )
        try:
            await self._store.create(wanted)
            return pb.CreateStreamResponse(stream=wanted)
        except Conflict:
            pass
        except RegistryUnavailable as error:
            raise not_confirmed() from error
        # The registry's own entry: the repetition of a call that was in doubt must find what that made.
        return pb.CreateStreamResponse(stream=await self._existing(wanted))

    async def _existing(self, wanted: Stream) -> Stream:
        try:
            entry = await self._store.read(wanted.stream_id)
        except RegistryUnavailable as error:
            raise not_confirmed() from error
        if entry is None:
            raise not_confirmed()
        stream = entry[0]
        same = all(getattr(stream, field) == getattr(wanted, field) for field in ("host_id", *_UPDATABLE))
        if not same:
            raise Refusal(Reason.STREAM_EXISTS, "there is another stream with this stream_id")
        return stream

    async def GetStream(self, request: pb.GetStreamRequest, _context: Context) -> pb.GetStreamResponse:
        check_stream_id(request.stream_id)
        stream = await self._directory.find(request.stream_id)
        check_may_watch(caller(), stream)
        return pb.GetStreamResponse(stream=stream, viewers=self._tally.viewers(stream.stream_id))

    async def ListStreams(self, request: pb.ListStreamsRequest, _context: Context) -> pb.ListStreamsResponse:
        if request.state not in (STREAM_STATE_UNSPECIFIED, STREAM_STATE_LIVE, STREAM_STATE_ENDED):
            raise invalid("state", "must be live or ended")
        if request.page_size < 0:
            raise invalid("page_size", f"must be 0 to {PAGE_MAX}")
        after = read_page_token(self._tokens, request.page_token, request.state) if request.page_token else None
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        identity = caller()
        following = (
            stream
            for stream in self._directory.registry.all()
            if (not request.state or stream.state == request.state)
            and (after is None or _position(stream) < after)
            and identity.may_watch(stream)
        )
        page = heapq.nlargest(size + 1, following, key=_position)
        token = page_token(self._tokens, _position(page[size - 1]), request.state) if len(page) > size else ""
        counts = {stream.stream_id: self._tally.viewers(stream.stream_id) for stream in page[:size]}
        viewers = {stream_id: count for stream_id, count in counts.items() if count}
        return pb.ListStreamsResponse(streams=page[:size], next_page_token=token, viewers=viewers)

    async def UpdateStream(self, request: pb.UpdateStreamRequest, _context: Context) -> pb.UpdateStreamResponse:
        self._check_open()
        check_stream_id(request.stream.stream_id)
        fields = tuple(request.update_mask.paths)
        if not fields or not set(fields) <= set(_UPDATABLE):
            raise invalid("update_mask", "must name one or more of title, visibility, slow_mode_s")
        wanted = _checked(request.stream, fields)
        stream = await self._find_ruled(request.stream.stream_id)
        committer = await self._committers.find(stream.stream_id)
        return pb.UpdateStreamResponse(stream=await committer.change(changes.update(wanted, fields)))

    async def EndStream(self, request: pb.EndStreamRequest, _context: Context) -> pb.EndStreamResponse:
        self._check_open()
        check_stream_id(request.stream_id)
        notice_s = check_notice(request.notice_s)
        stream = await self._find_ruled(request.stream_id)
        if stream.state == STREAM_STATE_ENDED:
            return pb.EndStreamResponse(stream=stream)
        committer = await self._committers.find(stream.stream_id)
        decide = changes.announce_end(notice_s * 1000) if notice_s else changes.end()
        stream = await committer.change(decide)
        self._endings.look()
        return pb.EndStreamResponse(stream=stream)

    def _check_open(self) -> None:
        if self._is_draining:
            raise draining()

    async def _find_ruled(self, stream_id: str) -> Stream:
        stream = await self._directory.find(stream_id)
        check_rules(caller(), stream)
        return stream


def _position(stream: Stream) -> StreamPosition:
    return StreamPosition(stream.started_at_ms, stream.stream_id)


def _checked(given: Stream, fields: Collection[str]) -> Stream:
    """These fields as they will be stored; the others unset."""
    wanted = Stream()
    if "title" in fields:
        wanted.title = check_title(given.title)
    if "visibility" in fields:
        wanted.visibility = check_visibility(given.visibility)
    if "slow_mode_s" in fields:
        wanted.slow_mode_s = check_slow_mode(given.slow_mode_s)
    return wanted
