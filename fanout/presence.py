"""How many watch: tells this fanout's own numbers, hears the others', adds them up."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from livecomments.presence import FANOUT_HEADER, Tally, viewers_subject
from livecomments.telemetry import log
from livecomments.v1.feed_service_pb2 import ViewerReport

EVERY_S = 2.0


class LocalViewers:
    """Viewers of many streams, by who reported them: each edge for its own, each Watch call for itself. Plain code."""

    def __init__(self) -> None:
        self._reports: dict[str, dict[Hashable, int]] = {}
        self._told: set[str] = set()

    def report(self, owner: Hashable, stream_id: str, viewers: int) -> None:
        """Replaces what ``owner`` last said of the stream; 0 forgets it."""
        if viewers > 0:
            self._reports.setdefault(stream_id, {})[owner] = viewers
        elif (reports := self._reports.get(stream_id)) is not None:
            reports.pop(owner, None)
            if not reports:
                del self._reports[stream_id]

    def viewers(self, stream_id: str) -> int:
        return sum(self._reports.get(stream_id, {}).values())

    def due(self) -> dict[str, int]:
        """What the other instances must be told now: every stream with viewers, and once each that has none left."""
        numbers = dict.fromkeys(self._told, 0) | {stream_id: self.viewers(stream_id) for stream_id in self._reports}
        self._told = set(self._reports)
        return numbers


class Counted(Protocol):
    """A topic, as far as its viewers go."""

    @property
    def stream_id(self) -> str: ...

    def count(self, viewers: int) -> None:
        """Is told the number of viewers over all instances."""


@dataclass(eq=False)
class _Followed:
    topic: Counted
    others: Tally


class Presence:
    """The viewer counts of the topics that are open here, renewed every EVERY_S."""

    def __init__(self, client: Client, instance: str, local: LocalViewers) -> None:
        """``instance`` names this process among all fanouts, and each of its lives; ``local`` holds its own viewers."""
        self._client = client
        self._instance = instance
        self._followed: dict[str, _Followed] = {}
        self._local = local

    async def follow(self, topic: Counted) -> None:
        """Listens for what other instances say of a stream, and keeps the topic's count right, until cancelled."""
        followed = _Followed(topic, Tally(asyncio.get_running_loop().time))

        async def heard(message: Msg) -> None:
            instance = (message.headers or {}).get(FANOUT_HEADER, "")
            if instance not in ("", self._instance):
                try:
                    report = ViewerReport.FromString(message.data)
                except DecodeError:
                    return
                followed.others.report(topic.stream_id, instance, report.viewers)

        subscription = await self._client.subscribe(viewers_subject(topic.stream_id), cb=heard)
        self._followed[topic.stream_id] = followed
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            if self._followed.get(topic.stream_id) is followed:
                del self._followed[topic.stream_id]
            if not self._client.is_closed:
                await subscription.unsubscribe()

    async def run(self) -> None:
        """Until cancelled; then says that nobody watches here any more."""
        try:
            while True:
                await self._tell(self._local.due())
                for stream_id, followed in list(self._followed.items()):
                    followed.topic.count(self._local.viewers(stream_id) + followed.others.viewers(stream_id))
                await asyncio.sleep(EVERY_S)
        finally:
            await self._tell(dict.fromkeys(self._local.due(), 0))

    async def _tell(self, numbers: dict[str, int]) -> None:
        # While the connection is lost nobody hears, and nats-py would keep old numbers for later.
        if not self._client.is_connected:
            return
        try:
            for stream_id, viewers in numbers.items():
                report = ViewerReport(stream_id=stream_id, viewers=viewers).SerializeToString()
                await self._client.publish(viewers_subject(stream_id), report, headers={FANOUT_HEADER: self._instance})
        except NatsError as error:
            # The next round tells the same again.
            log().warning("viewers could not be told", error=repr(error))
