"""Passing a request on to another process of this edge, over its inner address."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httptools
import trio

from livecomments.errors import Reason, Refusal

PASS_ON_S = 5.0
ANSWER_MAX_BYTES = 64 * 1024
_RECEIVE_BYTES = 16 * 1024
_CONNECTION_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "date"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request without a body. Method, target and headers are as they came, and hold no line breaks."""

    method: str
    target: str
    """Path and query, still quoted."""
    headers: Sequence[tuple[str, str]]
    """Those that the other process has to know, such as Authorization."""


@dataclass(slots=True)
class Answer:
    """What the other process answered."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Without those that belong to the connection that it came over."""
    body: bytes = b""
    is_complete: bool = False


class NoSuchProcess(Exception):
    """Nobody listens there: the process has ended, or never was."""


async def pass_on(address: Path, request: Request) -> Answer:
    """The whole answer of the process that listens at ``address``, see ``Workers.address``.

    Raises NoSuchProcess, or Refusal(OVERLOADED) when there is no answer within PASS_ON_S. When that happens, or this is
    cancelled, the other process may still have done what it was asked to.
    """
    try:
        with trio.fail_after(PASS_ON_S):
            async with await trio.open_unix_socket(str(address)) as stream:
                return await _exchange(stream, request)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoSuchProcess(address.name) from error
    except (OSError, trio.TooSlowError, trio.BrokenResourceError, httptools.HttpParserError) as error:
        raise Refusal(Reason.OVERLOADED, "another process of this edge gave no answer", retry_after_ms=500) from error


async def _exchange(stream: trio.SocketStream, request: Request) -> Answer:
    headers = [("Host", "localhost"), ("Connection", "close"), *request.headers]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    await stream.send_all(f"{request.method} {request.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
    reader = _Reader()
    parser = httptools.HttpResponseParser(reader)
    size = 0
    while not reader.answer.is_complete:
        data = await stream.receive_some(_RECEIVE_BYTES)
        size += len(data)
        if not data or size > ANSWER_MAX_BYTES:
            raise trio.BrokenResourceError("no whole answer")
        parser.feed_data(data)
        reader.answer.status = parser.get_status_code()
    return reader.answer


class _Reader:
    """What httptools tells of an answer."""

    def __init__(self) -> None:
        self.answer = Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        text = name.decode("latin-1")
        if text.lower() not in _CONNECTION_HEADERS:
            self.answer.headers.append((text, value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self.answer.body += data

    def on_message_complete(self) -> None:
        self.answer.is_complete = True
