"""Posts into one stream without a pause, as an edge does: through IngestComments, to one core, and when that is gone
to the next, where it repeats what was not answered.
"""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Sequence
from typing import Self

import grpc
import uvloop

from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.v1 import comment_service_pb2 as pb
from tests.processes import eventually

_TICK_S = 0.001
"""What is due within one tick goes as one message: some edges together send no fewer."""
_AT_ONCE = 500
"""Posts in one message, at most."""
_AUTHORS = 100_000
"""So many that none of them posts faster than one user may."""
_SAMPLED = 1_000
"""Every which post may be repeated at the end."""
_REPEATED = 500
"""How many are: the last of these, as core forgets the oldest of more than a million."""
_FULL_S = 60.0
_OPTIONS = (("grpc.max_receive_message_length", 16 * 1024 * 1024),)


class Firehose:
    """Posts ``rate`` comments/s, for as long as the context is open, from a thread of its own."""

    def __init__(self, cores: Sequence[str], service_token: str, stream: str, rate: float) -> None:
        """``cores``: addresses; the first is posted to first."""
        self._cores = cores
        self._metadata = ((SERVICE_TOKEN_KEY, service_token),)
        self._stream = stream
        self._rate = rate
        self._key = f"{random.getrandbits(64):016x}"
        self.accepted = 0
        self.refused = 0
        """Answers that said no; each was posted again."""
        self.answered_at: list[float] = []
        """When some were accepted, monotonic seconds, rising."""
        self._sample: dict[int, str] = {}
        """Id of the comment, by number."""
        self._unanswered: dict[int, None] = {}
        self._to_send: list[int] = []
        self._began = 0.0
        self._made = 0
        """Posts that were due so far."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()))
        self._failure = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def fill(self, comments: int) -> None:
        """Waits until so many were accepted."""
        eventually(
            lambda: self._failure or self.accepted >= comments,
            f"{comments} comments are accepted",
            _FULL_S + 2 * comments / self._rate,
        )
        assert not self._failure, self._failure

    def check(self, core: str) -> int:
        """Posts a sample again, once it has ended: each must get its first answer. Returns how many these were."""
        items = [self._item(number) for number in sorted(self._sample)[-_REPEATED:]]
        with grpc.insecure_channel(core, options=_OPTIONS) as channel:
            ingest = channel.stream_stream(
                "/livecomments.v1.CommentService/IngestComments",
                response_deserializer=pb.IngestCommentsResponse.FromString,
            )
            for response in ingest(iter(items), metadata=self._metadata, timeout=_FULL_S):
                for result in response.results:
                    assert result.posted.comment.comment_id == self._sample[result.tag], f"not its first: {result}"
        return len(items)

    async def _run(self) -> None:
        self._began = time.monotonic()
        for address in itertools.cycle(self._cores):
            try:
                async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
                    await self._follow(channel)
            except* (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass  # it is gone
            if self._stop.is_set() or self._failure:
                return
            self._to_send = list(self._unanswered)
            await asyncio.sleep(0.02)

    async def _follow(self, channel: grpc.aio.Channel) -> None:
        method = channel.stream_stream(
            "/livecomments.v1.CommentService/IngestComments",
            response_deserializer=pb.IngestCommentsResponse.FromString,
        )
        call = method(metadata=self._metadata)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(call))
            async for response in call:
                self._take(response)
            sending.cancel()

    async def _send(self, call: "grpc.aio.StreamStreamCall[bytes, pb.IngestCommentsResponse]") -> None:
        while not self._stop.is_set() and not self._failure:
            due = int((time.monotonic() - self._began) * self._rate)
            self._to_send += range(self._made, due)
            self._unanswered.update(dict.fromkeys(range(self._made, due)))
            self._made = due
            while self._to_send:
                now, self._to_send = self._to_send[:_AT_ONCE], self._to_send[_AT_ONCE:]
                await call.write(b"".join(map(self._item, now)))
            await asyncio.sleep(_TICK_S)
        await call.done_writing()

    def _take(self, response: pb.IngestCommentsResponse) -> None:
        accepted = 0
        for result in response.results:
            number = result.tag
            if result.HasField("posted"):
                del self._unanswered[number]
                accepted += 1
                if number % _SAMPLED == 0:
                    self._sample[number] = result.posted.comment.comment_id
            elif result.problem.reason in ("OVERLOADED", "NOT_CONFIRMED"):
                self.refused += 1
                self._to_send.append(number)
            else:
                self._failure = str(result)
        if accepted:
            self.accepted += accepted
            self.answered_at.append(time.monotonic())

    def _item(self, number: int) -> bytes:
        post = pb.PostCommentRequest(stream_id=self._stream, text="x" * 80, request_id=f"{self._key}-{number:08x}")
        author = f"viewer-{number % _AUTHORS}"
        item = pb.IngestItem(tag=number, author_id=author, author_name=author, role=pb.ROLE_VIEWER, post=post)
        return pb.IngestCommentsRequest(items=[item]).SerializeToString()
