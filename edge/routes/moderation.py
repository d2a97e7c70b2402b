"""What hosts and moderators do: delete, pin, ban. An author may delete its own."""

import msgspec
from quart import Blueprint, Response

from edge.requests import read_json
from edge.routes.answers import answer
from edge.shapes import CommentId, CommentShape, comment_shape
from edge.state import body, on_behalf, require_user, this_edge
from edge.upstream import call
from livecomments.v1 import comment_service_pb2 as rpc

moderation = Blueprint("moderation", __name__)

CALL_S = 5.0


class PinComment(msgspec.Struct, forbid_unknown_fields=True):
    """PUT /v1/streams/{id}/pinned."""

    comment_id: CommentId


class Pinned(msgspec.Struct):
    """What is pinned."""

    comment: CommentShape


def _done() -> Response:
    return Response(b"", 204)


@moderation.delete("/v1/streams/<stream_id>/comments/<comment:comment_id>")
async def delete_comment(stream_id: str, comment_id: str) -> Response:
    """Deletes a comment for everyone and for ever."""
    require_user()
    request = rpc.DeleteCommentRequest(stream_id=stream_id, comment_id=comment_id)
    method = this_edge().cores.owner(stream_id).comments.DeleteComment
    await call(method, request, timeout_s=CALL_S, metadata=on_behalf())
    return _done()


@moderation.put("/v1/streams/<stream_id>/pinned")
async def pin_comment(stream_id: str) -> Response:
    """Pins a comment in place of the one before."""
    require_user()
    form = read_json(await body(), PinComment)
    request = rpc.PinCommentRequest(stream_id=stream_id, comment_id=form.comment_id)
    method = this_edge().cores.owner(stream_id).comments.PinComment
    pinned = await call(method, request, timeout_s=CALL_S, metadata=on_behalf())
    return answer(Pinned(comment_shape(pinned.comment)))


@moderation.delete("/v1/streams/<stream_id>/pinned")
async def unpin_comment(stream_id: str) -> Response:
    """Takes the pin away."""
    require_user()
    method = this_edge().cores.owner(stream_id).comments.UnpinComment
    await call(method, rpc.UnpinCommentRequest(stream_id=stream_id), timeout_s=CALL_S, metadata=on_behalf())
    return _done()


@moderation.put("/v1/streams/<stream_id>/bans/<user_id>")
async def ban_user(stream_id: str, user_id: str) -> Response:
    """Refuses a user's posts in a stream."""
    require_user()
    request = rpc.BanUserRequest(stream_id=stream_id, user_id=user_id)
    method = this_edge().cores.owner(stream_id).comments.BanUser
    await call(method, request, timeout_s=CALL_S, metadata=on_behalf())
    return _done()


@moderation.delete("/v1/streams/<stream_id>/bans/<user_id>")
async def unban_user(stream_id: str, user_id: str) -> Response:
    """Lifts a ban."""
    require_user()
    request = rpc.UnbanUserRequest(stream_id=stream_id, user_id=user_id)
    method = this_edge().cores.owner(stream_id).comments.UnbanUser
    await call(method, request, timeout_s=CALL_S, metadata=on_behalf())
    return _done()
