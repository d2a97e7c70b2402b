"""What five minutes without a database do to posts and to the feed, and how long storage takes to catch up.

    scripts/bench/outage --seconds 300 --rate 100

Comments are posted at a rate through one edge, one viewer watches. For a tenth of the time all is well; then another
connection holds SQLite's write lock, so that storage writes nothing; then it lets go. Ends with an error when a comment
that was accepted is lost or doubled, on the screen or in history. Nothing is pinned to a core.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path

import rounds
from native import REPOSITORY
from percentiles import percentile

sys.path.insert(0, str(REPOSITORY))

from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer, follow

_LAG = 'livecomments_storage_writer_lag_messages{shard="0"}'
_PAGE = 1_000


class Stage:
    """A stream with one viewer, into which comments are posted at a rate."""

    def __init__(self, system: System, viewer: Viewer, stream: str, rate: float) -> None:
        self._system = system
        self._viewer = viewer
        self._stream = stream
        self._rate = rate
        self.accepted: list[str] = []
        """Ids of comments, in the order of their answers."""

    def post(self, seconds: float) -> rounds.Figures:
        """Posts for so long; how long answers and screens took."""
        answered_ms: list[float] = []
        seen_ms: list[float] = []
        refused = 0
        began = time.monotonic()
        for number in range(round(seconds * self._rate)):
            due = began + number / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
            answer = self._system.try_post(self._stream, str(number))
            if answer.status_code != 202:
                refused += 1
                continue
            answered_ms.append((time.monotonic() - due) * 1000)
            self.accepted.append(answer.json()["comment_id"])
            if number % round(self._rate) == 0:
                self._see_all()
                seen_ms.append((time.monotonic() - due) * 1000)
        return {
            "accepted": len(answered_ms),
            "refused": refused,
            "answer p50 ms": statistics.median(answered_ms),
            "answer p99 ms": percentile(answered_ms, 0.99),
            "screen p50 ms": statistics.median(seen_ms),
            "screen max ms": max(seen_ms),
            "lag, messages": self._system.storage.metric(_LAG) or 0.0,
        }

    def _see_all(self) -> None:
        follow([self._viewer], lambda: self.accepted[-1] in self._viewer.ids()[-_PAGE:], "it is seen")

    def catch_up(self) -> rounds.Figures:
        """Waits until all is written; checks that all was seen once, and stands in history once, in that order."""
        began = time.monotonic()
        eventually(lambda: self._system.storage.metric(_LAG) == 0, "nothing is left to write", 300)
        took_s = time.monotonic() - began
        self._see_all()
        assert self._viewer.ids() == self.accepted, "a comment was lost or doubled on the screen"
        stored = [comment["comment_id"] for comment in self._system.replay(self._stream, limit=_PAGE)]
        assert stored == self.accepted, "a comment was lost or doubled in history"
        return {"caught up after, s": took_s, "stored": len(stored)}


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    with tempfile.TemporaryDirectory() as folder, System(Path(folder), **limits) as system:
        stream = system.create_stream()
        with Viewer(system.url, stream) as viewer:
            stage = Stage(system, viewer, stream, options.rate)
            yield "all is well", stage.post(options.seconds / 10)
            database = sqlite3.connect(system.data_dir / "comments.db", isolation_level=None, timeout=10)
            database.execute("BEGIN IMMEDIATE")
            yield "no database", stage.post(options.seconds)
            database.execute("ROLLBACK")
            database.close()
            yield "the database is back", stage.catch_up()


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, seconds=300.0, rate=100.0).parse_args()
    rounds.run(options.rounds, f"{options.seconds:g} s without a database", lambda: measure(options))


if __name__ == "__main__":
    main()
