"""The gRPC-web calls, described: their messages are those of ``protos/livecomments/v1``."""

from edge.description.parts import Answer, Json, header, operation
from edge.grpc_web import BINARY, TEXT
from edge.routes.grpc_web import UNARY
from edge.watch import PATH
from livecomments.v1.stream_service_pb2 import GetStreamRequest

GRPC_WEB_TAG = "gRPC-web"

_REFUSED = "for a refusal its row of the error table, as google.rpc.Status with ErrorInfo."
_SUMMARIES = {
    "CommentService/PostComment": "Post a comment",
    "HistoryService/ListComments": "Read a window of the timeline",
    "HistoryService/ListRecentComments": "Read the latest comments, and backwards",
    "StreamService/GetStream": "Read one stream",
}


def grpc_web() -> Json:
    """Paths of the calls."""
    watched = (
        "WatchResponse messages, then trailers, which say how the call ended: OK for a stream that has ended, "
        f"UNAVAILABLE with RetryInfo for an edge that goes away or a client that can't keep up, and {_REFUSED}"
    )
    paths = {PATH: {"post": _call("Watch a stream", "FeedService/Watch", watched)}}
    for name in UNARY:
        answered = f"One {name.partition('/')[2]}Response, then trailers, which say OK; {_REFUSED}"
        paths[f"/livecomments.v1.{name}"] = {"post": _call(_SUMMARIES[name], name, answered)}
    return paths


def _call(summary: str, name: str, answered: str) -> Json:
    service, _, method = name.partition("/")
    # All have the stream's id as their field 1.
    asked = TEXT.message(GetStreamRequest(stream_id="final")).decode()
    binary: Json = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    based: Json = {"schema": {"type": "string", "contentEncoding": "base64"}}
    content = {BINARY.content_type: binary, TEXT.content_type: based | {"example": asked}}
    return operation(
        f"grpcWeb{method}", f"{summary}, by gRPC-web: {service}.{method}",
        {
            200: Answer(answered, {BINARY.content_type: binary, TEXT.content_type: based}),
            415: Answer("The Content-Type is none of gRPC-web's."),
        },
        tag=GRPC_WEB_TAG,
        parameters=[
            header(
                "grpc-timeout", {"type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$"},
                "When the call ends with DEADLINE_EXCEEDED, if nothing else has ended it.",
            )
        ],
        body={
            "required": True,
            "description": f"One {method}Request of protos/livecomments/v1, framed; as base64 in the text form.",
            "content": content,
        },
        description="The HTTP status is 200 whatever the call comes to. Take a client that is generated from protos/.",
    )  # fmt: skip
