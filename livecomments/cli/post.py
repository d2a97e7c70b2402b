"""``livecomments post``."""

from livecomments.cli.exits import failure
from livecomments.client import LiveComments, LiveCommentsError
from livecomments.v1.comment_service_pb2 import PostCommentResponse


def post_comment(core: str, token: str, stream_id: str, text: str) -> PostCommentResponse:
    """Posts a comment; raises CommandError when it is refused."""
    try:
        with LiveComments(core=core, token=token) as live:
            return live.post(stream_id, text)
    except LiveCommentsError as error:
        raise failure(error) from error
