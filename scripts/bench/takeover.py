"""How long posts, the feed and reads stand still when one of two cores, fanouts or storages is killed or frozen.

    scripts/bench/takeover --rounds 5

A system of two each, with one edge; four clients post without a pause and repeat what is refused with its key, one
viewer watches, one reader reads. The one that does the work is killed (SIGKILL) or frozen (SIGSTOP). Figures are the
longest times from then on without a 202, without a comment on the screen, and for a read; the first row says how long
they are anyway. ``--backlog`` comments stand in the stream's last two minutes: a core reads those before it goes on.
Ends with an error when a comment that was accepted is lost or doubled. Nothing is pinned to a core.
"""

import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import grpc
import rounds
from native import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.settings import Settings
from livecomments.v1 import comment_service_pb2 as pb
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from tests.posting import Posting
from tests.processes import Service, eventually
from tests.system import System
from tests.viewers import Viewer, follow

_STEADY_S = 1.0
_AFTER_S = 4.0
_AT_ONCE = 1_000


class Reader:
    """Reads the latest comments again and again; notes how long each read took."""

    def __init__(self, system: System, stream: str) -> None:
        self._url = f"{system.url}/v1/streams/{stream}/comments/recent?limit=1"
        self._client = system.client
        self.reads: list[tuple[float, float]] = []
        """When each began and ended, monotonic seconds."""
        self.refused = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            began = time.monotonic()
            self.refused += not self._client.get(self._url).is_success
            self.reads.append((began, time.monotonic()))


class Stage:
    """One round's stream, with everyone at it."""

    def __init__(self, posting: Posting, viewer: Viewer, reader: Reader) -> None:
        self._posting = posting
        self._viewer = viewer
        self._reader = reader
        self._seen_at: list[float] = []

    def run(self, seconds: float) -> None:
        """Lets everything go on for so long."""
        until = time.monotonic() + seconds
        seen = len(self._viewer.events)

        def is_over() -> bool:
            nonlocal seen
            now = time.monotonic()
            if len(self._viewer.events) > seen:
                seen = len(self._viewer.events)
                self._seen_at.append(now)
            return now >= until

        follow([self._viewer], is_over, "the time is over")

    def stood_still(self, harm: Callable[[], None], heal: Callable[[], None]) -> rounds.Figures:
        """How long nothing went on, once harm was done."""
        self.run(_STEADY_S)
        refused = self._reader.refused
        at = time.monotonic()
        harm()
        self.run(_AFTER_S)
        end = time.monotonic()
        figures = {
            "no 202, ms": _silence_ms(self._posting.answered_at, at, end),
            "nothing on screen, ms": _silence_ms(self._seen_at, at, end),
            "slowest read, ms": max(1000 * (e - b) for b, e in self._reader.reads if at <= e),
            "reads refused": self._reader.refused - refused,
        }
        heal()
        self.run(_STEADY_S)
        return figures


def _silence_ms(times: Sequence[float], at: float, end: float) -> float:
    """The longest time without any of them, from ``at`` on."""
    heard = [at, *(moment for moment in list(times) if moment > at), end]
    return 1000 * max(later - earlier for earlier, later in itertools.pairwise(heard))


def _fill(system: System, core: Service, stream: str, comments: int) -> None:
    """Posts so many; returns once all were accepted."""
    settings = Settings(data_dir=system.data_dir)
    metadata = ((SERVICE_TOKEN_KEY, settings.service_token()),)

    room = threading.Semaphore(_AT_ONCE)

    def requests() -> Iterator[pb.IngestCommentsRequest]:
        for number in range(comments):
            room.acquire()
            post = pb.PostCommentRequest(stream_id=stream, text="x" * 80, request_id=str(number))
            item = pb.IngestItem(tag=number, author_id=f"user{number}", post=post)
            yield pb.IngestCommentsRequest(items=[item])

    with grpc.insecure_channel(core.address) as channel:
        for response in CommentServiceStub(channel).IngestComments(requests(), metadata=metadata):
            assert all(result.HasField("posted") for result in response.results), response.results[0]
            room.release(len(response.results))


def _check(system: System, posting: Posting, viewer: Viewer) -> None:
    """All that was accepted was seen once, and stands in history once, in that order."""
    assert not posting.failure, posting.failure
    follow([viewer], lambda: posting.accepted.keys() <= set(viewer.ids()), "all that was accepted is seen")
    order = viewer.ids()
    assert len(order) == len(set(order)), "a comment was seen twice"

    def is_stored() -> bool:
        return [comment["comment_id"] for comment in system.replay(posting.stream, limit=1000)][-len(order) :] == order

    eventually(is_stored, "history holds what was seen", 60)


def _committed(core: Service) -> float:
    return core.metric('livecomments_core_posts_total{outcome="COMMITTED"}')


def _owner(system: System, posting: Posting) -> Service:
    """The core that takes the posts."""
    before = {core.address: _committed(core) for core in system.cores}
    enough = len(posting.accepted) + 20
    eventually(lambda: len(posting.accepted) >= enough, "posting goes on")
    return max(system.cores, key=lambda core: _committed(core) - before[core.address])


def _feeding(system: System) -> Service:
    """The fanout that feeds the edge."""
    lines = [line for line in system.edge.output.read_text().splitlines() if '"fanout reached"' in line]
    return next(fanout for fanout in system.fanouts if f'"{fanout.address}"' in lines[-1])


def _kill(service: Service) -> tuple[Callable[[], None], Callable[[], None]]:
    return service.kill, service.start


def _freeze(service: Service) -> tuple[Callable[[], None], Callable[[], None]]:
    return lambda: service.signal(signal.SIGSTOP), lambda: service.signal(signal.SIGCONT)


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    with (
        tempfile.TemporaryDirectory() as folder,
        System(Path(folder), cores=2, fanouts=2, storages=2, **limits) as system,
    ):
        stream = system.create_stream()
        _fill(system, system.core, stream, options.backlog)
        with (
            Viewer(system.url, stream) as viewer,
            Posting(system, stream) as posting,
            Reader(system, stream) as reader,
        ):
            stage = Stage(posting, viewer, reader)
            stage.run(_STEADY_S)
            yield "nothing is harmed", stage.stood_still(lambda: None, lambda: None)
            for how, harm in (("killed", _kill), ("frozen", _freeze)):
                yield f"core {how}", stage.stood_still(*harm(_owner(system, posting)))
                yield f"fanout {how}", stage.stood_still(*harm(_feeding(system)))
                yield f"storage {how}", stage.stood_still(*harm(system.storage))
            posting.stop()
            _check(system, posting, viewer)


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, backlog=0).parse_args()
    rounds.run(
        options.rounds,
        f"One of two is gone; {options.backlog:,} comments in the last two minutes",
        lambda: measure(options),
    )


if __name__ == "__main__":
    main()
