"""What schemathesis can't know from the description: which parameters go together, and how gRPC-web frames are made."""

import struct
from base64 import b64encode
from typing import Any

import schemathesis

_SIGNED = {"recentComments": ("cursor",), "watchMany": ("last_event_id",)}
"""Parameters that only a server's own answer can fill."""
_WINDOW, _POLL = ("start_time", "duration"), ("wait", "all")


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:  # noqa: ARG001 (schemathesis calls it by name)
    """Makes good requests as good as their description in words has them; leaves those alone that shall be bad."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    name = case.operation.definition.raw["operationId"]
    query = {} if case.query is None else case.query
    for parameter in ("pagination_token", *_SIGNED.get(name, ())):
        query.pop(parameter, None)
    if name == "watchMany":
        (case.headers or {}).pop("Last-Event-ID", None)
        case.query = {"stream": ["final"], **query}
    if name == "replayComments":
        for parameter in _WINDOW if "since" in query else _POLL:
            query.pop(parameter, None)
        # Nobody has so much time.
        if "wait" in query:
            query["wait"] = 0
    case.body = _with_whole_numbers(case.body)
    return case


def _with_whole_numbers(value: Any) -> Any:
    """To JSON Schema 1.0 is an integer. To us it is none."""
    if isinstance(value, dict):
        return {name: _with_whole_numbers(field) for name, field in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _framed(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return struct.pack("!BI", 0, len(data)) + data


@schemathesis.serializer("application/grpc-web+proto")
def binary(context: Any, value: Any) -> bytes:  # noqa: ARG001
    """Anything at all as a message."""
    return _framed(value)


@schemathesis.serializer("application/grpc-web-text+proto")
def text(context: Any, value: Any) -> bytes:  # noqa: ARG001
    """The same in base64."""
    return b64encode(_framed(value))
