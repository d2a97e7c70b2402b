"""What a request is to the shells that send it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from google.protobuf.message import Message

from livecomments.errors import Reason

DEADLINE_S = 10.0
"""How long a call may take, with all its repetitions, unless its caller says otherwise."""

T = TypeVar("T")


class Service(StrEnum):
    """Who is asked."""

    CORE = "core"
    FANOUT = "fanout"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class Rpc:
    """A method of a service."""

    service: Service
    path: str
    """``/package.Service/Method``."""


WATCH = Rpc(Service.FANOUT, "/livecomments.v1.FeedService/Watch")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request with one answer."""

    rpc: Rpc
    request: Message
    read: Callable[[bytes], T]
    """Makes what the caller gets out of the answer's bytes."""
    deadline_s: float
    unanswered: Reason
    """What it means that no answer came: OVERLOADED for reads, NOT_CONFIRMED for writes, each of which must be one
    that is carried out once however often it comes.
    """
    request_id: str = ""
    """What makes the repetition of a post a repetition."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many."""

    items: tuple[T, ...]
    next: Call[Page[T]] | None
    """What brings those that follow; None at the end."""


def serialized(request: Message) -> bytes:
    """What goes over the wire."""
    return request.SerializeToString()
