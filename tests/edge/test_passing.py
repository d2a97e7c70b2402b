"""A request that is passed on to another process: its answer as it is, or a refusal in bounded time."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from edge.passing import ANSWER_MAX_BYTES, PASS_ON_S, Answer, NoSuchProcess, Request, pass_on
from livecomments.errors import Reason, Refusal

PUT = Request("PUT", "/v1/sessions/1.0-x/streams/a", [("Authorization", "Bearer t")])


@asynccontextmanager
async def answering(address: Path, *parts: bytes) -> AsyncIterator[list[bytes]]:
    """A process that says this to whoever asks, and then closes; what it was asked."""
    asked: list[bytes] = []
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        await listener.bind(str(address))
        listener.listen(1)

        async def answer() -> None:
            connection, _ = await listener.accept()
            async with trio.SocketStream(connection) as stream:
                asked.append(await stream.receive_some(4096))
                for part in parts:
                    await stream.send_all(part)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            yield asked
            nursery.cancel_scope.cancel()


@pytest.mark.anyio
async def test_an_answer_comes_back_whole_without_what_is_its_connections(tmp_path: Path) -> None:
    head = b"HTTP/1.1 404 \r\ncontent-type: application/problem+json\r\ndate: today\r\ncontent-length: 4\r\n"
    async with answering(tmp_path / "1.0", head, b"connection: close\r\n\r\n{", b'"a}') as asked:
        answer = await pass_on(tmp_path / "1.0", PUT)
    assert answer == Answer(404, [("content-type", "application/problem+json")], b'{"a}', is_complete=True)
    assert asked[0].startswith(b"PUT /v1/sessions/1.0-x/streams/a HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer t\r\n" in asked[0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 204 ",
        b"HTTP/1.1 200 \r\ncontent-length: 10\r\n\r\nshort",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 \r\ncontent-length: %d\r\n\r\n" % ANSWER_MAX_BYTES + b"x" * ANSWER_MAX_BYTES,
    ],
)
async def test_what_is_no_whole_answer_is_none(tmp_path: Path, said: bytes) -> None:
    async with answering(tmp_path / "1.0", said):
        with pytest.raises(Refusal) as refused:
            await pass_on(tmp_path / "1.0", PUT)
    assert refused.value.reason is Reason.OVERLOADED


@pytest.mark.anyio
async def test_nobody_answers_for_a_process_that_has_gone(tmp_path: Path) -> None:
    with pytest.raises(NoSuchProcess):
        await pass_on(tmp_path / "1.0", PUT)
    async with answering(tmp_path / "1.1"):
        pass
    with pytest.raises(NoSuchProcess):
        await pass_on(tmp_path / "1.1", PUT)


def test_a_frozen_process_is_given_up_after_a_while(tmp_path: Path) -> None:
    async def main() -> float:
        began = trio.current_time()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "1.0"))
            listener.listen(1)
            with pytest.raises(Refusal, match="OVERLOADED"):
                await pass_on(tmp_path / "1.0", PUT)
        return trio.current_time() - began

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == pytest.approx(PASS_ON_S)
