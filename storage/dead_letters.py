"""Where messages go that can't be written: kept for people to look at, out of the writer's way."""

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError

from livecomments.cursor import Cursor
from livecomments.ensure import ensure
from storage.batches import Poison

STREAM = "DEADLETTER"
CURSOR_HEADER = "Livecomments-Cursor"
"""The message's place in the log: ``<epoch>-<seq>``."""
REASON_HEADER = "Livecomments-Reason"

_MAX_BYTES = 64 * 1024 * 1024
_REASON_MAX = 200
_PUBLISH_S = 5.0


class DeadLetters:
    """The JetStream stream DEADLETTER. When full it drops its oldest: a flood of poison shall not stop the writer."""

    def __init__(self, js: JetStreamContext, replicas: int) -> None:
        self._js = js
        self._replicas = replicas

    async def open(self) -> None:
        """Makes the stream where it is missing."""
        config = StreamConfig(
            name=STREAM,
            subjects=["deadletter.*.*"],
            storage=StorageType.FILE,
            num_replicas=self._replicas,
            discard=DiscardPolicy.OLD,
            max_bytes=_MAX_BYTES,
        )
        await ensure(STREAM, lambda: self._js.stream_info(STREAM), lambda: self._js.add_stream(config))

    async def bury(self, shard: int, epoch: str, poison: Poison) -> None:
        """Keeps a copy of the message, once also when it is buried again within two minutes. Raises nats errors."""
        message = poison.message
        place = str(Cursor(epoch, message.seq))
        headers = {
            "Nats-Msg-Id": f"{shard}-{place}",
            CURSOR_HEADER: place,
            # A header is one line of ASCII.
            REASON_HEADER: ascii(poison.why)[1:-1][:_REASON_MAX],
        }
        subject = f"deadletter.{shard}.{message.stream_id}"
        try:
            await self._js.publish(subject, message.data, _PUBLISH_S, headers=headers)
        except NoStreamResponseError:
            await self.open()
            await self._js.publish(subject, message.data, _PUBLISH_S, headers=headers)
