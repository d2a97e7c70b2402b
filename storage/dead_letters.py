"""Where messages go that can't be written: kept for people to look at, out of the writer's way."""

import asyncio
import random
from pathlib import Path
from typing import NoReturn

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError

from livecomments.cursor import Cursor
from livecomments.enlarge import find_enlarged
from livecomments.ensure import ensure
from livecomments.telemetry import log
from storage import metrics
from storage.batches import Poison
from storage.letters import Letter, LetterBox

STREAM = "DEADLETTER"
CURSOR_HEADER = "Livecomments-Cursor"
"""The message's place in the log: ``<epoch>-<seq>``."""
REASON_HEADER = "Livecomments-Reason"
PART_HEADER = "Livecomments-Part"
"""``2/3`` on the second of three letters for one message: with the headers it would be too large for NATS."""

_MAX_BYTES = 64 * 1024 * 1024
_REASON_MAX = 200
_HEADERS_BYTES = 4096
_PUBLISH_S = 2.0
_OPEN_S = 3.0
_TRY_AGAIN_S = 5.0


class DeadLetters:
    """The JetStream stream DEADLETTER, and files for what that does not take: it is full (nothing in it is ever
    dropped), or JetStream is out of reach. So neither is poison lost nor does it stop the writer.
    """

    def __init__(self, client: Client, replicas: int, folder: Path) -> None:
        """``folder``: where the files go."""
        self._client = client
        self._js = client.jetstream(timeout=_PUBLISH_S)
        self._replicas = replicas
        self._box = LetterBox(folder)
        metrics.DEAD_LETTERS_WAITING.set_function(lambda: self._box.count)

    async def run(self) -> NoReturn:
        """Makes the stream where it is missing, and brings it what waits in files, until cancelled."""
        while True:
            try:
                await self._open()
                await self._post_waiting()
            except (NatsError, TimeoutError, OSError) as error:
                log().error("dead letters wait in files", letters=self._box.count, error=repr(error))
            await asyncio.sleep(_TRY_AGAIN_S * random.uniform(0.8, 1.2))

    async def bury(self, shard: int, epoch: str, poison: Poison) -> None:
        """Keeps a copy of the message: on return it is in the stream, or on this machine's disk. Once also when it is
        buried again within two minutes. Raises OSError when not even a file can be written.
        """
        message = poison.message
        # A header is one line of ASCII.
        reason = ascii(poison.why)[1:-1][:_REASON_MAX]
        letter = Letter(shard, str(Cursor(epoch, message.seq)), message.stream_id, reason, message.data)
        if self._box.count == 0:
            # Where one waits already the next would not come through either, and the writer would wait with it.
            try:
                await self._post(letter)
                return
            except (NatsError, TimeoutError) as error:
                log().error("a dead letter goes to a file", cursor=letter.cursor, error=repr(error))
        await asyncio.to_thread(self._box.put, letter)

    async def _post_waiting(self) -> None:
        for path in self._box.paths():
            await self._post(await asyncio.to_thread(self._box.read, path))
            await asyncio.to_thread(self._box.remove, path)

    async def _post(self, letter: Letter) -> None:
        size = self._client.max_payload - _HEADERS_BYTES
        parts = [letter.data[start : start + size] for start in range(0, len(letter.data), size)] or [b""]
        for number, part in enumerate(parts, 1):
            headers = {
                "Nats-Msg-Id": f"{letter.shard}-{letter.cursor}-{number}",
                CURSOR_HEADER: letter.cursor,
                REASON_HEADER: letter.reason,
                **({PART_HEADER: f"{number}/{len(parts)}"} if len(parts) > 1 else {}),
            }
            subject = f"deadletter.{letter.shard}.{letter.stream_id}"
            try:
                await self._js.publish(subject, part, _PUBLISH_S, headers=headers)
            except NoStreamResponseError:
                await self._open()
                await self._js.publish(subject, part, _PUBLISH_S, headers=headers)

    async def _open(self) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=["deadletter.*.*"],
            storage=StorageType.FILE,
            num_replicas=self._replicas,
            discard=DiscardPolicy.NEW,
            max_bytes=_MAX_BYTES,
        )
        async with asyncio.timeout(_OPEN_S):
            await ensure(
                STREAM,
                lambda: find_enlarged(self._js, STREAM, replicas=self._replicas),
                lambda: self._js.add_stream(config),
            )
