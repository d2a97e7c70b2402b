"""Members that post."""

import json
import socket
import time

from tests.crowd.members import Restless
from tests.crowd.wire import text_of


class Posting:
    """Comments 0, 1, 2, … at a steady rate, shared out among posters as they fall due."""

    def __init__(self, count: int, rate: float) -> None:
        """``rate``: comments per second. None is due before ``start``."""
        self.count = count
        self.accepted = 0
        self._rate = rate
        self._next = count
        self._began = 0.0

    def start(self) -> None:
        self._next, self._began = 0, time.monotonic()

    def next_due(self, now: float) -> int | None:
        """The next one, once; None before its time, and behind the last."""
        if self._next >= self.count or now < self._began + self._next / self._rate:
            return None
        self._next += 1
        return self._next - 1


class Poster(Restless):
    """Posts one comment after the other on one connection, each repeated with its key until it is accepted."""

    def __init__(self, name: str, token: str, posting: Posting) -> None:
        super().__init__(name)
        self._token = token
        self._posting = posting
        self._stream = ""
        self._unanswered: int | None = None
        self._answer = b""

    def begin(self, connection: socket.socket, stream: str) -> None:
        super().begin(connection, stream)
        self._stream = stream
        self._answer = b""
        if self._unanswered is not None:
            connection.sendall(self._post(self._unanswered))

    def tick(self) -> None:
        if self._unanswered is not None or (number := self._posting.next_due(time.monotonic())) is None:
            return
        self._unanswered = number
        assert self.connection is not None
        try:
            self.connection.sendall(self._post(number))
        except ConnectionError:
            self.end()

    def hear(self) -> None:
        self._answer += self.read()
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if self.connection is None or not end or len(body) < int(head.partition(b"content-length: ")[2].split()[0]):
            return
        self._answer = b""
        status = int(head.split()[1])
        if status == 202:
            self._unanswered = None
            self._posting.accepted += 1
        elif status == 503:
            self.end()  # this edge is on its way out: another one knows the key as well
        else:
            self.fault = f"{status} for comment {self._unanswered}: {body.decode()}"

    def _post(self, number: int) -> bytes:
        body = json.dumps({"text": text_of(number)})
        lines = [
            f"POST /v1/streams/{self._stream}/comments HTTP/1.1",
            "Host: test",
            f"Authorization: Bearer {self._token}",
            f"Idempotency-Key: n{number}",
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()
