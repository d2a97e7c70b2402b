"""Page tokens of each kind, by HTTP and by gRPC: good for their own request, and for nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from livecomments.errors import Reason, Refusal
from livecomments.page_tokens import PageTokens
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_STATE_LIVE
from livecomments.v1.history_service_pb2 import ListCommentsRequest, ListRecentCommentsRequest
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from livecomments.v1.stream_service_pb2 import ListStreamsRequest
from livecomments.v1.stream_service_pb2_grpc import StreamServiceStub
from tests.e2e.test_errors import refused
from tests.system import System

OTHER_STREAM = "of-another-stream"


@dataclass(frozen=True)
class Kind:
    """A listing: how it is asked for by HTTP, where {} is the stream, and what is another one of its kind."""

    name: str
    path: str
    parameter: str
    field: str
    others: tuple[str, ...]
    request: Callable[[str, str], Any]
    """By gRPC: of a stream and a token."""
    other_requests: Callable[[str], tuple[Any, ...]]
    """The same for the others, of a token."""


def _window(stream: str, token: str, **fields: Any) -> ListCommentsRequest:
    fields = {"start_offset_ms": 0, "duration_ms": 3_600_000, "page_size": 1, **fields}
    return ListCommentsRequest(stream_id=stream, page_token=token, **fields)


WINDOW = Kind(
    "window",
    "/v1/streams/{}/comments?start_time=0&duration=3600",
    "pagination_token",
    "next_pagination_token",
    (
        f"/v1/streams/{OTHER_STREAM}/comments?start_time=0&duration=3600",
        "/v1/streams/{}/comments?start_time=0.001&duration=3600",
        "/v1/streams/{}/comments?start_time=0&duration=3599",
    ),
    _window,
    lambda token: (_window(OTHER_STREAM, token),),
)
RECENT = Kind(
    "recent",
    "/v1/streams/{}/comments/recent?",
    "cursor",
    "oldest_cursor",
    (f"/v1/streams/{OTHER_STREAM}/comments/recent?",),
    lambda stream, token: ListRecentCommentsRequest(stream_id=stream, page_size=1, page_token=token),
    lambda token: (ListRecentCommentsRequest(stream_id=OTHER_STREAM, page_token=token),),
)
STREAMS = Kind(
    "streams",
    "/v1/streams?state=live",
    "pagination_token",
    "next_pagination_token",
    ("/v1/streams?state=ended", "/v1/streams?"),
    lambda _, token: ListStreamsRequest(state=STREAM_STATE_LIVE, page_size=1, page_token=token),
    lambda token: (
        ListStreamsRequest(state=STREAM_STATE_ENDED, page_token=token),
        ListStreamsRequest(page_token=token),
    ),
)
KINDS = (WINDOW, RECENT, STREAMS)


class Reader:
    """Reads pages of one stream either way."""

    def __init__(self, system: System, stream: str, channels: tuple[grpc.Channel, grpc.Channel]) -> None:
        self._system = system
        self.stream = stream
        history, core = channels
        self._methods = {
            ListCommentsRequest: HistoryServiceStub(history).ListComments,
            ListRecentCommentsRequest: HistoryServiceStub(history).ListRecentComments,
            ListStreamsRequest: StreamServiceStub(core).ListStreams,
        }

    def get(self, kind: Kind, path: str, token: str = "", limit: int = 1) -> Any:
        query = f"&limit={limit}" + (f"&{kind.parameter}={token}" if token else "")
        return self._system.request("GET", path.format(self.stream) + query)

    def token(self, kind: Kind) -> str:
        """That of the second page."""
        token = self.get(kind, kind.path).json()[kind.field]
        assert isinstance(token, str)
        return token

    def call(self, request: Any) -> Any:
        return self._methods[type(request)](request, timeout=10)

    def assert_refused(self, kind: Kind, path: str, token: str) -> None:
        refused(self.get(kind, path, token), Reason.BAD_PAGE_TOKEN, kind.parameter)

    def assert_call_refused(self, request: Any) -> None:
        with pytest.raises(grpc.RpcError) as raised:
            self.call(request)
        refusal = Refusal.from_rpc_error(raised.value)
        assert (refusal.reason, [error.field for error in refusal.fields]) == (Reason.BAD_PAGE_TOKEN, ["page_token"])


@pytest.fixture(scope="module")
def reader(system: System) -> Iterator[Reader]:
    system.create_stream(OTHER_STREAM)
    stream = system.create_stream()
    for number in range(3):
        system.post(stream, f"c{number}")
    system.stored(stream, lambda comments: len(comments) == 3)
    with grpc.insecure_channel(system.storage.address) as history, grpc.insecure_channel(system.core.address) as core:
        yield Reader(system, stream, (history, core))


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def test_a_token_leads_on_either_way_and_in_another_page_size(reader: Reader, kind: Kind) -> None:
    token = reader.token(kind)
    for limit in (1, 2):
        assert reader.get(kind, kind.path, token, limit).status_code == 200
    assert reader.call(kind.request(reader.stream, "")).next_page_token == token, "there is one kind of token for both"
    reader.call(kind.request(reader.stream, token))


def test_a_token_is_refused_for_every_other_listing(reader: Reader, kind: Kind) -> None:
    token = reader.token(kind)
    for path in kind.others:
        reader.assert_refused(kind, path, token)
    for request in kind.other_requests(token):
        reader.assert_call_refused(request)
    for other in KINDS:
        if other is not kind:
            reader.assert_refused(other, other.path, token)
            reader.assert_call_refused(other.request(reader.stream, token))


def test_what_was_not_signed_here_is_refused(reader: Reader, kind: Kind) -> None:
    token = reader.token(kind)
    changed = ("B" if token[0] == "A" else "A") + token[1:]
    foreign = PageTokens.of("the services' token of another installation").sign(b"\0" * 20, kind.name, reader.stream)
    for bad in (changed, token[:-4], token + "AAAA", foreign, "x", "%00", "ä", "A" * 5_000):
        reader.assert_refused(kind, kind.path, bad)
        reader.assert_call_refused(kind.request(reader.stream, bad))
