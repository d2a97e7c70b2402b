"""Clients that post all the time, as good ones do."""

import threading
import uuid
from dataclasses import dataclass, field
from typing import Self

import httpx

from tests.system import System

POSTERS = 4


@dataclass
class Posting:
    """Good clients that post without a pause: on 503 or a lost connection they repeat with the same key."""

    system: System
    stream: str
    accepted: dict[str, str] = field(default_factory=dict)
    """Text by comment id, as the 202s said."""
    failure: str = ""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(POSTERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets each finish what it began."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _post(self, number: int) -> None:
        url = f"{self.system.url}/v1/streams/{self.stream}/comments"
        headers = {"Authorization": f"Bearer {self.system.token(f'user-{number}')}"}
        turn = 0
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._stop.is_set():
                turn += 1
                text, key = f"{number}:{turn}", uuid.uuid4().hex
                while True:
                    try:
                        answer = client.post(url, json={"text": text}, headers={**headers, "Idempotency-Key": key})
                    except httpx.TransportError:
                        self._stop.wait(0.02)
                        continue
                    if answer.status_code == 202:
                        self.accepted[answer.json()["comment_id"]] = text
                        break
                    if answer.status_code != 503:
                        self.failure = answer.text
                        return
                    # A good client would wait as long as Retry-After says; this one wants trouble.
                    self._stop.wait(0.02)
