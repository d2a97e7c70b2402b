"""Posts through one IngestComments call, as an edge makes it; every answer is timed from when its post was due.

Everything that can be is made before the clock starts, so that the load takes little of what nats-server needs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import uvloop
from answers import Answers
from comments import text
from core_alone import CoreAlone

from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.v1 import comment_service_pb2 as pb

AUTHORS = 100_000
"""So many that none of them posts faster than one user may."""
_TEXT_SIZE = 75
_TICK_S = 0.002
"""What is due within one tick goes as one message."""
_PATIENCE_S = 5.0
_OPTIONS = (("grpc.max_receive_message_length", 16 * 1024 * 1024),)


def offer(core: CoreAlone, streams: Sequence[str], rate: float, seconds: float) -> Answers:
    """Posts ``rate`` comments/s for so long, to each stream in turn, whatever becomes of them."""
    items = [_item(number, streams[number % len(streams)]) for number in range(round(rate * seconds))]
    return uvloop.run(_offer(core, items, rate))


def one_by_one(core: CoreAlone, stream: str, count: int) -> Answers:
    """Posts the next when the last was answered: what a comment takes while nothing else goes on."""
    return uvloop.run(_one_by_one(core, [_item(number, stream) for number in range(count)]))


async def _offer(core: CoreAlone, items: Sequence[bytes], rate: float) -> Answers:
    async with _open(core, len(items)) as call:
        began = time.perf_counter()
        call.due = [began + number / rate for number in range(len(items))]
        sent = 0
        while sent < len(items):
            due = min(len(items), int((time.perf_counter() - began) * rate) + 1)
            if due > sent:
                await call.send(items[sent:due])
                sent = due
            await asyncio.sleep(_TICK_S)
        await call.answered(len(items))
        return call.outcome()


async def _one_by_one(core: CoreAlone, items: Sequence[bytes]) -> Answers:
    async with _open(core, len(items)) as call:
        for number, item in enumerate(items):
            call.due[number] = time.perf_counter()
            await call.send([item])
            await call.answered(number + 1)
        return call.outcome()


class _Call:
    """Tags are the numbers of the posts, from 0."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[bytes, pb.IngestCommentsResponse]", posts: int) -> None:
        self._call = call
        self.due = [0.0] * posts
        """When each post is due: ``time.perf_counter()``."""
        self._late_ms: list[float] = []
        self._answered = 0
        self._last = 0.0
        self._more = asyncio.Event()

    async def send(self, items: Sequence[bytes]) -> None:
        await self._call.write(b"".join(items))

    async def read(self) -> None:
        async for response in self._call:
            now = time.perf_counter()
            self._late_ms += [
                (now - self.due[result.tag]) * 1000 for result in response.results if result.HasField("posted")
            ]
            self._answered += len(response.results)
            self._last = now
            self._more.set()

    async def answered(self, count: int) -> None:
        """Waits until so many were answered, or nothing more comes."""
        while self._answered < count:
            self._more.clear()
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._more.wait()
            except TimeoutError:
                self._last = time.perf_counter()
                return

    def outcome(self) -> Answers:
        return Answers(len(self.due), self._last - self.due[0], sorted(self._late_ms))


@asynccontextmanager
async def _open(core: CoreAlone, posts: int) -> AsyncIterator[_Call]:
    metadata = ((SERVICE_TOKEN_KEY, core.house.settings().service_token()),)
    async with grpc.aio.insecure_channel(core.address, options=_OPTIONS) as channel, asyncio.TaskGroup() as tasks:
        method = channel.stream_stream(
            "/livecomments.v1.CommentService/IngestComments",
            response_deserializer=pb.IngestCommentsResponse.FromString,
        )
        call = _Call(method(metadata=metadata), posts)
        reading = tasks.create_task(call.read())
        yield call
        reading.cancel()


def _item(number: int, stream: str) -> bytes:
    """As it stands in a message: several together are one message, too."""
    author = f"viewer-{number % AUTHORS}"
    post = pb.PostCommentRequest(
        stream_id=stream, text=text((number, 0), _TEXT_SIZE), request_id=f"edge:{stream}:{number:016x}"
    )
    item = pb.IngestItem(tag=number, author_id=author, author_name=author, role=pb.ROLE_VIEWER, post=post)
    return pb.IngestCommentsRequest(items=[item]).SerializeToString()
