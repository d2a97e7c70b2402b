"""One stream's feed in this process, wherever it comes from: what is known of it, and who gets it."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from fanout import metrics
from fanout.memory import FeedMemory
from fanout.messages import LogMessage, Window
from fanout.ranges import Range
from livecomments.errors import Refusal
from livecomments.v1.comment_pb2 import Stream
from livecomments.v1.feed_service_pb2 import Snapshot


class Subscriber(Protocol):
    """Who gets a topic's windows. Called in the loop; must not block or raise."""

    def window(self, window: Window) -> None:
        """The next events."""

    def updated(self, stream: Stream) -> None:
        """Title, visibility or slow mode have changed, by what the next window holds."""

    def viewers(self, viewers: int) -> None:
        """The number of viewers has changed."""

    def degraded(self, degraded: bool) -> None:
        """The feed is cut off from where it comes from, or not any more."""

    def restarted(self) -> None:
        """What stands between the last window and the topic's head can't be had: a snapshot must take its place."""

    def closed(self, refusal: Refusal) -> None:
        """The topic is no more; nothing follows."""


class Topic(ABC):
    """A stream's feed, while ``run`` runs. Subscribers see the log's order, each message once.

    ``memory``, ``epoch`` and what needs them are there once ``opened`` is set and ``refusal`` is None.
    """

    memory: FeedMemory
    epoch: str
    """The life of the log that sequences belong to."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.opened = asyncio.Event()
        self.refusal: Refusal | None = None
        """Why there is no such topic, or no more."""
        self._clock = asyncio.get_running_loop().time
        self._subscribers: dict[Subscriber, int] = {}
        self._viewers = 0
        self._degraded = False

    @abstractmethod
    async def run(self) -> None:
        """Follows the stream until cancelled, or until it can't be had any more."""

    @abstractmethod
    def ask(self) -> None:
        """Something may have been missed: has it looked for at once."""

    @abstractmethod
    def _known(self) -> Stream:
        """The newest word on the stream that does not come by the feed."""

    # -- for subscribers --

    def add(self, subscriber: Subscriber, after: int) -> None:
        """From the next window on, gives the subscriber what stands after ``after``, which may be ahead of the head.
        Adding it again changes ``after``. A topic that is closed by now says so at once.
        """
        if self.refusal is not None:
            subscriber.closed(self.refusal)
        else:
            self._subscribers[subscriber] = after

    def remove(self, subscriber: Subscriber) -> None:
        self._subscribers.pop(subscriber, None)

    def stream(self) -> Stream:
        """The stream as of the head."""
        return self.memory.stream(self._known())

    def snapshot(self, comments: int) -> Snapshot:
        """The state at the head, with at most so many comments."""
        return self._complete(self.memory.snapshot(self._known(), comments))

    def recovered(self, seq: int) -> Snapshot:
        """What someone is told who goes on from ``seq``."""
        return self._complete(self.memory.recovered(self._known(), seq))

    def _complete(self, snapshot: Snapshot) -> Snapshot:
        snapshot.viewers = self._viewers
        snapshot.degraded = self._degraded
        return snapshot

    def remembers(self, wanted: Range) -> bool:
        """Whether memory has all of a range."""
        return (
            wanted.epoch == self.epoch
            and wanted.through is not None
            and wanted.through <= self.memory.head
            and self.memory.covers(wanted.after)
        )

    # -- for who runs it --

    def count(self, viewers: int) -> None:
        """Sets the number of viewers; tells the subscribers when it has changed."""
        if viewers != self._viewers:
            self._viewers = viewers
            for subscriber in list(self._subscribers):
                subscriber.viewers(viewers)

    def degrade(self, degraded: bool) -> None:
        """Sets whether the feed is cut off; tells the subscribers when that has changed."""
        if degraded != self._degraded:
            self._degraded = degraded
            for subscriber in list(self._subscribers):
                subscriber.degraded(degraded)

    def close(self, refusal: Refusal) -> None:
        """Tells those who wait, and the subscribers, that nothing follows. The first word counts."""
        self.refusal = self.refusal or refusal
        self.opened.set()
        subscribers, self._subscribers = self._subscribers, {}
        for subscriber in subscribers:
            subscriber.closed(self.refusal)

    # -- for where it comes from --

    def _publish(self, messages: Sequence[LogMessage]) -> None:
        """Moves the head over the next messages, at least one, each with events; they leave as one window."""
        window = self.memory.take(messages, self._clock())
        metrics.windows_total.inc()
        metrics.events_total.inc(sum(entry.events for entry in window.entries))
        _observe_lag(messages[0])
        if any(event.HasField("updated") for message in messages for event in message.events.events):
            stream = self.stream()
            for subscriber in list(self._subscribers):
                subscriber.updated(stream)
        for subscriber, after in list(self._subscribers.items()):
            if (unseen := window.after(after)) is not None:
                subscriber.window(unseen)


def _observe_lag(message: LogMessage) -> None:
    event = message.events.events[0]
    if event.HasField("posted"):
        metrics.feed_lag_seconds.observe(max(0.0, time.time() - event.posted.comment.posted_at_ms / 1000))
