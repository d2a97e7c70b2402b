"""What a watch does next: read on, or come back later and resume. Plain code; ``Watch`` and ``AsyncWatch`` talk."""

from collections.abc import Iterator

from livecomments.backoff import Backoff
from livecomments.calls import is_passing
from livecomments.client.errors import LiveCommentsError, Unavailable
from livecomments.client.feed import Disconnected, Feed, FeedEvent, StreamEnded
from livecomments.cursor import BadCursor, Cursor
from livecomments.errors import Reason
from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse

FIRST_MAX_S = 10.0
"""A feed begins at once; one that has not after so long won't."""
SILENCE_MAX_S = 40.0
"""A feed shows life every 15 s; one that is silent for so long is dead."""


class Following:
    """One stream's feed over any number of connections. Times are seconds of whatever clock the caller reads.

    Its driver takes events; when there is none and it is not over, it waits for ``pause_s``, reads one response from
    the connection that it has, or else from a new one with ``request()``, and tells what came: ``received`` or
    ``lost``, after which it has no connection.
    """

    def __init__(self, stream_id: str, cursor: str = "", backoff: Backoff | None = None) -> None:
        self._stream_id = stream_id
        self._feed = Feed(cursor)
        self._backoff = backoff or Backoff()
        self._events: Iterator[FeedEvent] = iter(())
        self._resume_at = 0.0
        self._has_begun = False
        self.over = False
        """The stream has ended, and all of it was taken."""

    def take(self) -> FeedEvent | None:
        """The next event of what was received; None when it is used up."""
        event = next(self._events, None)
        if isinstance(event, StreamEnded):
            self.over = True
        return event

    def pause_s(self, now: float) -> float:
        """How long to wait before the next connection is made; 0 or less while one is open."""
        return self._resume_at - now

    def patience_s(self) -> float:
        """How long the next response may take."""
        return SILENCE_MAX_S if self._has_begun else FIRST_MAX_S

    def request(self) -> WatchRequest:
        """What a new connection asks for."""
        self._has_begun = False
        return WatchRequest(stream_id=self._stream_id, cursor=self._feed.cursor)

    def received(self, response: WatchResponse | None) -> None:
        """A response came; None: the server closed the feed. Raises Unavailable for what tells of no good server."""
        if response is None:
            if not self._feed.over:
                raise Unavailable(Reason.DRAINING, "the feed was closed")
            self.over = True
            return
        if response.HasField("snapshot"):
            _check(response.snapshot.cursor)
        self._has_begun = True
        self._backoff.reset()
        self._events = self._feed.take(response)

    def lost(self, error: LiveCommentsError, now: float) -> None:
        """The connection broke, or could not be made. Raises the error when coming back can't mend it."""
        if not is_passing(error):
            raise error
        # Only who is overloaded means its own time; others are gone, and the next one takes its place at once.
        least_s = error.retry_after_ms / 1000 if error.reason is Reason.OVERLOADED else 0.0
        pause_s = self._backoff.next_s(least_s=least_s)
        self._resume_at = now + pause_s
        self._events = iter((Disconnected(error, pause_s),))


def _check(cursor: str) -> None:
    try:
        Cursor.parse(cursor)
    except BadCursor:
        raise Unavailable(Reason.OVERLOADED, "the feed did not begin with a cursor") from None
