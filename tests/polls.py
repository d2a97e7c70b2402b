"""Viewers that poll; to be used wherever a ``tests.viewers.Viewer`` is."""

import time
from collections.abc import Callable
from typing import Self

import httpx

from tests.processes import PATIENCE_S
from tests.viewers import Event, Viewer


class PollViewer(Viewer):
    """Asks for what came after its cursor, when it is asked to."""

    def connect(self) -> None:
        """Nothing is open between two polls."""
        self.closed = False
        self._client = self.client()

    def client(self) -> httpx.Client:
        return httpx.Client(timeout=PATIENCE_S, trust_env=False, verify=self.tls or False)

    def disconnect(self) -> None:
        if not self.closed:
            self._client.close()
        self.closed = True

    def poll(self, wait_s: float = 0.5) -> None:
        """Once."""
        path = f"{'https' if self.tls else 'http'}://{self.host}/v1/streams/{self.stream_id}/comments"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        parameters = {"since": self.cursor, "wait": wait_s, "limit": 1000}
        answer = self._client.get(path, params=parameters, headers=headers)
        self.status, self.body = answer.status_code, answer.content
        if self.status == 200:
            found = answer.json()
            self.cursor = found["cursor"]
            self.events += [Event(event["event"], event["data"], event.get("id", "")) for event in found["events"]]

    def until(self, condition: Callable[[Self], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Polls until the condition holds; fails after the deadline."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
            self.poll()
