"""Every way in to what is said in a stream: each knocks as its client does, and tells why it was let in or not."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message

from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1 import feed_service_pb2 as fs
from livecomments.v1 import history_service_pb2 as hs
from livecomments.v1 import stream_service_pb2 as ss
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from livecomments.v1.stream_service_pb2_grpc import StreamServiceStub
from tests.grpc_web import TEXT, GrpcWebViewer, call_once
from tests.processes import Process
from tests.session_viewers import SessionViewer
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer

Knock = Callable[[System, str, str], Reason | None]
"""Of a stream, with a token or none (empty): None when it is shown, or the post taken; else why not."""
CALL_S = 10
_TO_HYPERCORN = ("Content-Length: 0",)
"""A header line that takes a request away from the door."""


def answered(viewer: Viewer) -> Reason | None:
    """Reads until the viewer is shown something or told why not, and closes it."""

    def refused() -> str:
        if isinstance(viewer, GrpcWebViewer) and viewer.ending is not None:
            return viewer.ending.reason
        try:
            return str(json.loads(viewer.body)["reason"])
        except ValueError:
            return ""

    with viewer:
        viewer.until(lambda v: v.events or refused(), "it is shown something, or told why not")
        return None if viewer.events else Reason(refused())


def reason_of(response: httpx.Response) -> Reason | None:
    return None if response.status_code < 300 else Reason(response.json()["reason"])


@contextmanager
def called(service: Process) -> Iterator[grpc.Channel]:
    """A channel to one of the services."""
    with grpc.insecure_channel(service.address) as channel:  # type: ignore[attr-defined]
        yield channel


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


def _native(
    service: Callable[[System], Process],
    stub: Callable[[grpc.Channel], Any],
    method: str,
    request: Callable[..., Message],
) -> Knock:
    def knock(system: System, stream: str, token: str) -> Reason | None:
        with called(service(system)) as channel:
            call = getattr(stub(channel), method)
            try:
                response = call(request(stream), metadata=_bearer(token), timeout=CALL_S)
                if not isinstance(response, Message):
                    next(response, None)
                    response.cancel()
            except grpc.RpcError as error:
                return Refusal.from_rpc_error(error).reason
        return None

    return knock


def _by_grpc_web(method: str, request: Callable[[str], Message]) -> Knock:
    def knock(system: System, stream: str, token: str) -> Reason | None:
        ending = call_once(system.url, method, request(stream), token=token).ending
        return Reason(ending.reason) if ending.status else None

    return knock


def _get(path: str) -> Knock:
    return lambda system, stream, token: reason_of(system.request("GET", path.format(stream), token=token))


def _by_poll(system: System, stream: str, token: str) -> Reason | None:
    path = f"/v1/streams/{stream}/comments?since=&wait=0"
    return reason_of(system.request("GET", path, token=token))


def _by_session(system: System, stream: str, token: str) -> Reason | None:
    return answered(SessionViewer(system.url, [stream], token=token))


def _by_a_session_that_is_open(system: System, stream: str, token: str) -> Reason | None:
    public = system.create_stream()
    with SessionViewer(system.url, [public], token=token) as viewer:
        viewer.until(lambda v: v.names(public), "the first stream")
        path = f"/v1/sessions/{viewer.session}/streams/{stream}"
        return reason_of(system.request("PUT", path, token=token))


READ: Mapping[str, Knock] = {
    "subscribe": lambda system, stream, token: answered(Viewer(system.url, stream, token=token)),
    "subscribe by Hypercorn": lambda system, stream, token: answered(
        Viewer(system.url, stream, token=token, lines=_TO_HYPERCORN)
    ),
    "WebSocket": lambda system, stream, token: answered(SocketViewer(system.url, stream, token=token)),
    "WebSocket by Hypercorn": lambda system, stream, token: answered(
        SocketViewer(system.url, stream, token=token, reused=True)
    ),
    "gRPC-web": lambda system, stream, token: answered(GrpcWebViewer(system.url, stream, token=token)),
    "gRPC-web in text": lambda system, stream, token: answered(
        GrpcWebViewer(system.url, stream, token=token, content_type=TEXT)
    ),
    "gRPC-web by Hypercorn": lambda system, stream, token: answered(
        GrpcWebViewer(system.url, stream, token=token, reused=True)
    ),
    "long-poll": _by_poll,
    "events": _by_session,
    "a stream added to events": _by_a_session_that_is_open,
    "recent": _get("/v1/streams/{}/comments/recent"),
    "replay": _get("/v1/streams/{}/comments"),
    "stream": _get("/v1/streams/{}"),
    "Watch": _native(lambda s: s.fanout, FeedServiceStub, "Watch", lambda stream: fs.WatchRequest(stream_id=stream)),
    "GetStream": _native(
        lambda s: s.core, StreamServiceStub, "GetStream", lambda stream: ss.GetStreamRequest(stream_id=stream)
    ),
    "ListComments": _native(
        lambda s: s.storage, HistoryServiceStub, "ListComments",
        lambda stream: hs.ListCommentsRequest(stream_id=stream, duration_ms=60_000),
    ),
    "ListRecentComments": _native(
        lambda s: s.storage, HistoryServiceStub, "ListRecentComments",
        lambda stream: hs.ListRecentCommentsRequest(stream_id=stream),
    ),
    "ListComments by gRPC-web": _by_grpc_web(
        "HistoryService/ListComments", lambda stream: hs.ListCommentsRequest(stream_id=stream, duration_ms=60_000)
    ),
    "ListRecentComments by gRPC-web": _by_grpc_web(
        "HistoryService/ListRecentComments", lambda stream: hs.ListRecentCommentsRequest(stream_id=stream)
    ),
    "GetStream by gRPC-web": _by_grpc_web(
        "StreamService/GetStream", lambda stream: ss.GetStreamRequest(stream_id=stream)
    ),
    "ExportComments": _native(
        lambda s: s.storage, HistoryServiceStub, "ExportComments",
        lambda stream: hs.ExportCommentsRequest(stream_id=stream),
    ),
}  # fmt: skip
"""Ways to see what is said."""


def _post(system: System, stream: str, token: str) -> Reason | None:
    return reason_of(system.request("POST", f"/v1/streams/{stream}/comments", {"text": "knock"}, token=token))


def _post_by_hypercorn(system: System, stream: str, token: str) -> Reason | None:
    path, headers = f"/v1/streams/{stream}/comments", {"Content-Encoding": "identity"}
    return reason_of(system.request("POST", path, {"text": "knock"}, token=token, headers=headers))


WRITE: Mapping[str, Knock] = {
    "post": _post,
    "post by Hypercorn": _post_by_hypercorn,
    "PostComment": _native(
        lambda s: s.core, CommentServiceStub, "PostComment",
        lambda stream: cs.PostCommentRequest(stream_id=stream, text="knock"),
    ),
    "PostComment by gRPC-web": _by_grpc_web(
        "CommentService/PostComment", lambda stream: cs.PostCommentRequest(stream_id=stream, text="knock")
    ),
}  # fmt: skip
"""Ways to say something; over a WebSocket only those do who watch."""
