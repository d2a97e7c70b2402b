"""How long posts and the feed stand still when nats-servers of a cluster of three are killed or freeze.

    scripts/bench/nats_recovery --rounds 5

The whole system on three nats-servers with three copies of everything; four clients post without a pause and repeat
what is refused with its key, one viewer watches. Figures are the longest times without a 202, and without a comment on
the screen, from the moment of harm until both go on for a while; for the lost majority, from the moment of its return.
Ends with an error when a comment that was accepted is lost or doubled. Nothing is pinned to a core.
"""

import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rounds
from native import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from tests.cluster import NatsCluster, NatsNode
from tests.posting import Posting
from tests.system import System
from tests.viewers import Viewer, follow

_LOG = "COMMENTS_0"
_WELL = 50
"""Comments after which all is well again."""
_LONGEST_S = 120.0
_AWAY_S = 3.0


class Stage:
    """A cluster with everyone at it."""

    def __init__(self, cluster: NatsCluster, posting: Posting, viewer: Viewer) -> None:
        self._cluster = cluster
        self._posting = posting
        self._viewer = viewer
        self._seen_at: list[float] = []

    def leader(self, *, of_core: bool) -> NatsNode:
        """The one that leads the log; core is connected to it, or to another."""
        connected = self._cluster.served("core")
        wanted = connected if of_core else self._cluster.others(connected)[0]
        if self._cluster.leader(_LOG) is not wanted:
            self._cluster.lead(_LOG, wanted)
        return wanted

    def stood_still(self, harm: Callable[[], None], heal: Callable[[], None]) -> rounds.Figures:
        """How long nothing went on, once harm was done to servers that were well."""
        self._go_on()
        found = self._stood_still(harm)
        heal()
        self._cluster.settle()
        return found

    def stood_still_on_return(self, nodes: Sequence[NatsNode]) -> rounds.Figures:
        """How long nothing went on, once these were started again that had been killed for a while."""
        self._go_on()
        for node in nodes:
            node.kill()
        self._watch(_AWAY_S)

        def start() -> None:
            for node in nodes:
                node.start()

        return self._stood_still(start)

    def _stood_still(self, cause: Callable[[], None]) -> rounds.Figures:
        at = time.monotonic()
        cause()
        self._go_on()
        end = time.monotonic()
        return {
            "no 202, s": _silence_s(self._posting.answered_at, at, end),
            "nothing on screen, s": _silence_s(self._seen_at, at, end),
        }

    def _watch(self, seconds: float) -> None:
        """Lets time pass."""
        until = time.monotonic() + seconds
        self._follow(lambda: time.monotonic() >= until, "the time is over")

    def _go_on(self) -> None:
        enough = len(self._posting.accepted) + _WELL
        self._follow(lambda: len(self._posting.accepted) >= enough, "posting goes on")
        accepted = set(self._posting.accepted)
        self._follow(lambda: accepted <= set(self._viewer.ids()), "the feed goes on")

    def _follow(self, condition: Callable[[], object], what: str) -> None:
        seen = len(self._viewer.events)

        def is_over() -> bool:
            nonlocal seen
            if len(self._viewer.events) > seen:
                seen = len(self._viewer.events)
                self._seen_at.append(time.monotonic())
            return bool(condition())

        follow([self._viewer], is_over, what, _LONGEST_S)


def _silence_s(times: Sequence[float], at: float, end: float) -> float:
    """The longest time without any of them, from ``at`` on."""
    heard = [at, *(moment for moment in list(times) if moment > at), end]
    return max(later - earlier for earlier, later in itertools.pairwise(heard))


def _kill(node: NatsNode) -> tuple[Callable[[], None], Callable[[], None]]:
    return node.kill, node.start


def _freeze(node: NatsNode) -> tuple[Callable[[], None], Callable[[], None]]:
    return lambda: node.signal(signal.SIGSTOP), lambda: node.signal(signal.SIGCONT)


def measure() -> rounds.Round:
    """One round."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    limits = {"core_user_rate": "0", "edge_address_rate": "0", "log_replicas": "3"}
    with (
        tempfile.TemporaryDirectory() as folder,
        NatsCluster(Path(folder)) as cluster,
        System(Path(folder), cluster, **limits) as system,
    ):
        cluster.settle()
        stream = system.create_stream()
        with Viewer(system.url, stream) as viewer, Posting(system, stream) as posting:
            stage = Stage(cluster, posting, viewer)
            yield "nothing is harmed", stage.stood_still(lambda: None, lambda: None)
            for whose, of_core in (("core is connected to it", True), ("core is connected to another", False)):
                for how, harm in (("killed", _kill), ("frozen", _freeze)):
                    yield f"leader {how}, {whose}", stage.stood_still(*harm(stage.leader(of_core=of_core)))
            yield "majority back", stage.stood_still_on_return(cluster.others(cluster.leader(_LOG)))
            posting.stop()
            _check(system, posting, viewer)


def _check(system: System, posting: Posting, viewer: Viewer) -> None:
    """All that was accepted was seen once, and stands in history once, in that order."""
    assert not posting.failure, posting.failure
    follow([viewer], lambda: posting.accepted.keys() <= set(viewer.ids()), "all that was accepted is seen")
    order = viewer.ids()
    assert len(order) == len(set(order)), "a comment was seen twice"
    assert len(viewer.texts()) == len(set(viewer.texts())), "a repeated post is two comments"
    stored = system.stored(posting.stream, lambda found: len(found) >= len(order), 60)
    assert [comment["comment_id"] for comment in stored] == order, "history is another"


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__).parse_args()
    rounds.run(options.rounds, "Servers of a NATS cluster of three are gone", measure)


if __name__ == "__main__":
    main()
