"""From a request to a post that waits at its stream's committer."""

import asyncio
import time
from collections.abc import Iterable

from core.commit import Committer
from core.committers import Committers
from core.ledger import Post, Reply
from core.metrics import POSTS
from core.requests import request_digest
from core.rules import CommentRules, check_author
from livecomments.errors import Reason, Refusal
from livecomments.stream_ids import check_stream_id
from livecomments.tokens import Identity
from livecomments.v1 import comment_service_pb2 as pb
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE, Comment, Stream

_OVERHEAD = 160
"""Ids, times, offsets and tags of a comment in the log, bytes."""
_EXEMPT = (pb.ROLE_HOST, pb.ROLE_MODERATOR)
_VIEWER = pb.ROLE_VIEWER


class SingleReply:
    """A Reply for one post, awaited by its caller."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[pb.PostCommentResponse] = asyncio.get_running_loop().create_future()

    def posted(self, _tag: int, comment: Comment, cursor: str) -> None:
        if not self._answer.done():
            self._answer.set_result(pb.PostCommentResponse(comment=comment, cursor=cursor))

    def refused(self, _tag: int, refusal: Refusal) -> None:
        if not self._answer.done():
            self._answer.set_exception(refusal)

    async def answer(self) -> pb.PostCommentResponse:
        """Raises Refusal. Cancelled, it leaves the post on its way."""
        return await self._answer


class Intake:
    """Checks posts by the rules and hands them to their committers. Whatever it refuses it answers."""

    def __init__(self, committers: Committers, rules: CommentRules) -> None:
        self._committers = committers
        self._rules = rules

    def take(self, request: pb.PostCommentRequest, author: Identity, stream: Stream, reply: Reply) -> None:
        """A post of an end user."""
        try:
            is_exempt = author.role_in(stream) in _EXEMPT
            post = self._post(request, author.user_id, author.name, is_exempt, reply=reply, tag=0, now=time.monotonic())
            self._committers.for_posts(stream).offer([post])
        except Refusal as refusal:
            refuse(reply, 0, refusal)

    def take_items(self, items: Iterable[pb.IngestItem], reply: Reply) -> list[pb.IngestItem]:
        """Posts that a service passes on. Returns those of streams that are not known here yet: find each of them."""
        now = time.monotonic()
        unknown: list[pb.IngestItem] = []
        waiting: dict[str, tuple[Committer, Stream, bool, list[Post]]] = {}
        for item in items:
            try:
                # Each look into a message makes a new string.
                request, author_id, name = item.post, item.author_id, item.author_name
                check_author(author_id, name)
                stream_id = request.stream_id
                found = waiting.get(stream_id)
                if found is None:
                    committer = self._committers.known(stream_id)
                    if committer is None:
                        unknown.append(item)
                        continue
                    stream = committer.stream
                    is_private = stream.visibility == STREAM_VISIBILITY_PRIVATE
                    found = waiting[stream_id] = committer, stream, is_private, []
                _, stream, is_private, posts = found
                is_exempt = (is_private or item.role != _VIEWER) and _is_exempt(item, stream)
                posts.append(
                    self._post(request, author_id, name or author_id, is_exempt, reply=reply, tag=item.tag, now=now)
                )
            except Refusal as refusal:
                refuse(reply, item.tag, refusal)
        for committer, _, _, posts in waiting.values():
            committer.offer(posts)
        return unknown

    async def find_and_take_item(self, item: pb.IngestItem, reply: Reply) -> None:
        """The same for a stream that only the registry's bucket may know."""
        try:
            check_stream_id(item.post.stream_id)
            await self._committers.find(item.post.stream_id)
        except Refusal as refusal:
            refuse(reply, item.tag, refusal)
        else:
            self.take_items((item,), reply)

    def _post(
        self,
        request: pb.PostCommentRequest,
        author_id: str,
        name: str,
        is_exempt: bool,
        *,
        reply: Reply,
        tag: int,
        now: float,
    ) -> Post:
        lag_ms, request_id, meta = request.lag_ms, request.request_id, request.meta_json
        text = self._rules.check(request.text, lag_ms, request_id, meta)
        size = _OVERHEAD + len(f"{text}{meta}{author_id}{name}".encode())
        digest = request_digest(author_id, request_id)
        return Post(author_id, name, is_exempt, text, lag_ms, meta, digest, size, reply, tag, now)


def _is_exempt(item: pb.IngestItem, stream: Stream) -> bool:
    """Whether the author rules this stream. Raises Refusal(FORBIDDEN) for a private one that is closed to it."""
    is_host = item.role == pb.ROLE_HOST and item.author_id == stream.host_id
    if stream.visibility == STREAM_VISIBILITY_PRIVATE and not (item.is_member or is_host):
        raise Refusal(Reason.FORBIDDEN, "this stream is private: a token that names it is needed")
    return is_host or (item.role == pb.ROLE_MODERATOR and item.is_member)


def refuse(reply: Reply, tag: int, refusal: Refusal) -> None:
    """Answers a post that did not come as far as its committer."""
    POSTS.labels(refusal.reason).inc()
    reply.refused(tag, refusal)
