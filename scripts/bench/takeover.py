"""How long posts, the feed and reads stand still when one of two cores, fanouts or storages is killed or frozen.

    scripts/bench/takeover --rounds 5

A system of two each, with one edge; four clients post without a pause and repeat what is refused with its key, one
viewer watches, one reader reads. The one that does the work is killed (SIGKILL) or frozen (SIGSTOP). Figures are the
longest times from then on without a 202, without a comment on the screen, and for a read; the row before the harm says
how long they are anyway. ``--backlog`` comments stand in the stream's last two minutes: a core learns those before it
goes on. With it the owner is killed once before anybody watches, while ``--rate`` comments/s come in through
IngestComments; a sample of all these posts is repeated then, to be answered as at first. Ends with an error when a
comment that was accepted is lost or doubled. Nothing is pinned to a core.
"""

import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import rounds
from native import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from firehose import Firehose

from livecomments.settings import Settings
from tests.posting import Posting
from tests.processes import Service, eventually
from tests.system import System
from tests.viewers import Viewer, follow

_STEADY_S = 1.0
_AFTER_S = 4.0
_LOAD_S = 3.0
_FILL_RATE = 16_000
"""Comments/s: a million in about a minute."""


class Reader:
    """Reads a page of the replay again and again; notes how long each read took."""

    def __init__(self, system: System, stream: str) -> None:
        self._url = f"{system.url}/v1/streams/{stream}/comments?limit=1"
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


def _under_load(system: System, stream: str, backlog: int, rate: int) -> rounds.Figures:
    """The owner is killed while the stream takes ``rate`` comments/s, and took ``backlog`` before."""
    token = Settings(data_dir=system.data_dir).service_token()
    with Posting(system, stream, role="moderator") as posting:
        owner = _owner(system, posting)
        heir = next(core for core in system.cores if core is not owner)
        with Firehose([owner.address], token, stream, _FILL_RATE) as filling:
            filling.fill(backlog)
        with Firehose([owner.address, heir.address], token, stream, rate) as load:
            time.sleep(_LOAD_S)
            messages, comments = _batches(owner)
            at = time.monotonic()
            owner.kill()
            time.sleep(_AFTER_S)
            end = time.monotonic()
    repeated = filling.check(heir.address) + load.check(heir.address)
    sources = {source: heir.metric(f'{_TAKEOVER}_sum{{source="{source}"}}') for source in ("SUMMARIES", "LOG")}
    owner.start()
    return {
        "no 202, ms": _silence_ms(posting.answered_at, at, end),
        "load unanswered, ms": _silence_ms(load.answered_at, at, end),
        "by summaries, ms": 1000 * sources["SUMMARIES"],
        "by the log, ms": 1000 * sources["LOG"],
        "load put off": load.refused,
        "comments a message": comments / messages,
        "repeats that got the first answer": repeated,
    }


_TAKEOVER = "livecomments_core_takeover_seconds"


def _batches(core: Service) -> tuple[float, float]:
    name = "livecomments_core_batch_comments"
    return core.metric(f"{name}_count"), core.metric(f"{name}_sum")


def _check(system: System, posting: Posting, viewer: Viewer) -> None:
    """All that was accepted was seen once, and stands in history once, in that order."""
    assert not posting.failure, posting.failure
    follow([viewer], lambda: posting.accepted.keys() <= set(viewer.ids()), "all that was accepted is seen")
    order = viewer.ids()
    assert len(order) == len(set(order)), "a comment was seen twice"

    # The page that it began with is a part of what it saw; before that there may be a million.
    shown = viewer.events[0].data["comments"]
    start = max(0, shown[0]["offset_ms"] // 1000 - 1) if shown else 0

    def is_stored() -> bool:
        comments = system.replay(posting.stream, start=start, limit=1000)
        return [comment["comment_id"] for comment in comments][-len(order) :] == order

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
    with (
        tempfile.TemporaryDirectory() as folder,
        System(Path(folder), cores=2, fanouts=2, storages=2, edge_address_rate="0") as system,
    ):
        stream = system.create_stream()
        if options.backlog:
            yield "core killed under load", _under_load(system, stream, options.backlog, options.rate)
        with (
            Viewer(system.url, stream) as viewer,
            Posting(system, stream, role="moderator") as posting,
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
    options = rounds.arguments(__doc__, backlog=0, rate=10_000).parse_args()
    rounds.run(
        options.rounds,
        f"One of two is gone; {options.backlog:,} comments in the last two minutes",
        lambda: measure(options),
    )


if __name__ == "__main__":
    main()
