"""How a feed is written for each kind of viewer: pure functions from events to bytes."""

from collections.abc import Hashable, Iterable
from typing import Protocol

from edge.events import FeedEvent
from livecomments.errors import Refusal


class Encoding(Hashable, Protocol):
    """One way to write a feed. All viewers of a stream that share an encoding get the same bytes.

    What these methods give stands in one byte stream; ``frame`` then wraps it for a connection that was handed off.
    """

    @property
    def name(self) -> str:
        """For metrics."""

    @property
    def content_type(self) -> str:
        """The HTTP media type; empty for what is no HTTP."""

    @property
    def content_encoding(self) -> str:
        """The HTTP content coding; empty for none."""

    def begin(self, retry_ms: int) -> bytes:
        """The first bytes: when to come back once the connection is lost."""

    def events(self, events: Iterable[FeedEvent]) -> bytes:
        """Some events, in order."""

    @property
    def heartbeat(self) -> bytes:
        """A sign of life, which says nothing."""

    def farewell(self, retry_ms: int) -> bytes:
        """The last bytes of a feed that we cut before its end: when to come back."""

    @property
    def expired(self) -> bytes:
        """The last bytes for a viewer whose token has ended."""

    def refused(self, refusal: Refusal) -> bytes:
        """The last bytes of a feed that nobody may have any more."""

    @property
    def tail(self) -> bytes:
        """The last bytes of a feed whose stream has ended."""

    @property
    def too_slow(self) -> bytes:
        """The last bytes for a viewer that can't keep up, framed; empty where there is no word for that."""

    def frame(self, data: bytes) -> bytes:
        """Transport framing of a part; nothing for an empty one."""

    @property
    def last_frame(self) -> bytes:
        """The end of the transport's framing, behind the farewell or the tail."""
