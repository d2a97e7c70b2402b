"""``FeedService.Watch`` as a gRPC-web client calls it: read in one way, whichever way it came in."""

from dataclasses import dataclass

from edge.encodings.grpc_web import ENCODINGS
from edge.grpc_web import Forms
from edge.sampling import Selection
from edge.subscribe import Wish, parse_cursor
from livecomments.stream_ids import check_stream_id
from livecomments.v1.feed_service_pb2 import WatchRequest

PATH = "/livecomments.v1.FeedService/Watch"


@dataclass(frozen=True, slots=True)
class WatchCall:
    """What is asked for."""

    stream_id: str
    wish: Wish


def read_watch(forms: Forms, body: bytes) -> WatchCall:
    """Raises Refusal: MALFORMED_BODY, INVALID_FIELD, BAD_CURSOR."""
    asked = forms.asked.request(body, WatchRequest)
    check_stream_id(asked.stream_id)
    parse_cursor(asked.cursor, "cursor")
    selection = Selection.ALL if asked.all else Selection.SAMPLE
    return WatchCall(asked.stream_id, Wish(asked.cursor, ENCODINGS[forms.answered], selection))
