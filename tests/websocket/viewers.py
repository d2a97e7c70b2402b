"""Viewers over a WebSocket, and edges of their own."""

from typing import Any

from livecomments.errors import Reason
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import make_known


def open_socket(system: System, stream: str, *, url: str = "", **how: Any) -> SocketViewer:
    """A viewer that has its snapshot. The edge knows the stream, so that the door could have answered."""
    url = url or system.url
    make_known(url, stream, how.get("token", ""))
    viewer = SocketViewer(url, stream, **how)
    viewer.until(lambda v: v.events or v.closed or v.status not in (0, 101), "the first event")
    return viewer


def frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """One short frame as a client writes it, right or wrong; masked with zeros."""
    head = bytes((first, (0x80 if masked else 0) | len(payload)))
    return head + (bytes(4) if masked else b"") + payload


def refused(viewer: SocketViewer, reason: Reason) -> None:
    viewer.until(lambda v: v.status and (v.closed or v.body.endswith(b"}")), "the refusal")
    assert viewer.status == reason.http_status
    assert f'"reason":"{reason}"'.encode() in viewer.body
