"""Clients that post all the time, as good ones do, and what must be true at the end."""

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import httpx

from tests.processes import PATIENCE_S, Service
from tests.system import System
from tests.viewers import Viewer, follow

POSTERS = 4


@dataclass
class Posting:
    """Good clients that post without a pause, or until the stream has ended: on 503 or a lost connection they repeat
    with the same key.
    """

    system: System
    stream: str
    edges: Sequence[Service] = ()
    """Which edges are posted to; none: the system's own."""
    role: str = "viewer"
    accepted: dict[str, str] = field(default_factory=dict)
    """Text by comment id, as the 202s said."""
    answered_at: list[float] = field(default_factory=list)
    """When each was answered, monotonic seconds, rising."""
    refused: int = 0
    """How often one was answered 503."""
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

    def longest_pause(self) -> float:
        """From one answer of 202 to the next, s."""
        answered_at = sorted(self.answered_at)
        return max(after - before for before, after in pairwise(answered_at))

    def _post(self, number: int) -> None:
        edges = self.edges or [self.system.edge]
        url = f"http://{edges[number % len(edges)].address}/v1/streams/{self.stream}/comments"
        token = self.system.token(f"user-{number}", role=self.role, streams=(self.stream,))
        headers = {"Authorization": f"Bearer {token}"}
        turn = 0
        with httpx.Client(timeout=PATIENCE_S, trust_env=False) as client:
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
                        self.answered_at.append(time.monotonic())
                        self.accepted[answer.json()["comment_id"]] = text
                        break
                    if answer.json().get("reason") == "STREAM_ENDED":
                        return
                    if answer.status_code != 503:
                        self.failure = answer.text
                        return
                    self.refused += 1
                    # A good client would wait as long as Retry-After says; this one wants trouble.
                    self._stop.wait(0.02)


def check_once(system: System, posting: Posting, viewers: list[Viewer]) -> None:
    """All that was accepted is in each feed once, in one order, and once in history."""
    assert not posting.failure
    follow(
        viewers,
        lambda: all(posting.accepted.keys() <= set(viewer.ids()) for viewer in viewers),
        "everyone sees all that was accepted",
    )
    assert {event.data["recovered"] for v in viewers for event in v.events[1:] if event.name == "snapshot"} <= {True}
    order = viewers[0].ids()
    assert len(order) == len(set(order)), "nobody sees a comment twice"
    assert all(viewer.ids() == order for viewer in viewers), "all see one order"
    # What was never confirmed may be there, but whatever is there is there once.
    assert len(viewers[0].texts()) == len(set(viewers[0].texts())), "a repeated post is one comment"
    stored = system.stored(posting.stream, lambda comments: len(comments) >= len(order))
    assert [comment["comment_id"] for comment in stored] == order, "the replay is the same"
