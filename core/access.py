"""What a caller may do to a stream."""

from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1.comment_pb2 import Stream
from livecomments.v1.comment_service_pb2 import ROLE_HOST


def check_may_watch(identity: Identity, stream: Stream) -> None:
    """Raises Refusal for a private stream: UNAUTHENTICATED without a token, FORBIDDEN with one that is not for it."""
    if identity.may_watch(stream):
        return
    if not identity.is_user:
        raise Refusal(Reason.UNAUTHENTICATED, "a private stream needs a token that names it")
    raise Refusal(Reason.FORBIDDEN, "this token does not name the stream")


def check_rules(identity: Identity, stream: Stream) -> None:
    """Raises Refusal(FORBIDDEN) for all but the stream's host and its moderators."""
    if not identity.rules(stream):
        raise Refusal(Reason.FORBIDDEN, "only the stream's host and its moderators may do this")


def check_is_host(identity: Identity) -> None:
    """Raises Refusal(FORBIDDEN) for all but hosts."""
    if identity.role != ROLE_HOST:
        raise Refusal(Reason.FORBIDDEN, "only a host may create a stream")
