"""The figures of the write path, all of them, beside what is to be reached: docs/benchmarks.

    scripts/bench/write_path               one quick round, about 3 minutes
    scripts/bench/write_path --rounds 5    for the record, on a machine with nothing else to do
    scripts/bench/write_path --only ingest,idle --into /tmp/figures

Everything is durable: nats-server syncs each message to the disk before it says that it has it. The rate of posts is
raised until their answers come late; time counts from when a post was due. What is measured (core; with "http" and
"websocket" the edge) has the first core for itself, all else the last.

ingest         into one stream, through one IngestComments call to one core
one_a_message  the same, with one comment a message, fenced, one after the other
unfenced       one comment a message from one client of the log, without a core: no fence, no order, many at once
small_streams  into 1,000 streams, 5/s each, the log in one shard and in four
idle           one comment, while nothing else goes on
http           through one edge process, over connections that are kept
websocket      the same over WebSocket; each poster watches, too
"""

import os
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from itertools import count

import rounds
import suite
import unfenced
from answers import Answers
from core_alone import CoreAlone
from ingest_load import offer, one_by_one
from ours import STREAM, Ours
from post_load import PostLoad
from raising import raised, told
from taken import measured
from write_goals import WRITE_PATH

_RATES = (5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000, 100_000)
_SINGLE_RATES = (500, 1_000, 1_500, 2_000, 3_000, 5_000)
_DOOR_RATES = (500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000, 16_000)
_POSTERS = 256
_STREAMS, _RATE_EACH = 1_000, 5
_IDLE_POSTS = 500
_IDLE_RATE = 50.0
_LIFTED = {"CORE_USER_RATE": "0", "EDGE_ADDRESS_RATE": "0", "EDGE_SOCKET_RATE": "10000", "EDGE_SOCKET_BURST": "10000"}
"""Some hundred posters stand for all viewers of a broadcast."""


def ingest(options: Namespace) -> rounds.Round:
    """One round."""
    with CoreAlone(options.profile) as core:
        yield from _raised("one stream", core, _RATES, options.seconds)


def one_a_message(options: Namespace) -> rounds.Round:
    """One round."""
    with CoreAlone(options.profile, {"CORE_BATCH_MAX_COMMENTS": "1"}) as core:
        yield from _raised("one comment a message", core, _SINGLE_RATES, options.seconds)


def _raised(name: str, core: CoreAlone, rates: Sequence[float], seconds: float) -> rounds.Round:
    numbers = count()

    def step(rate: float) -> tuple[Answers, rounds.Figures]:
        # A fresh one each: what a step has left behind must not burden the next.
        stream = f"stream-{next(numbers)}"
        core.create([stream])
        return measured(core.house, partial(offer, core, [stream], rate, seconds), os.getpid())

    return raised(name, rates, step)


def small_streams(options: Namespace) -> rounds.Round:
    """One round."""
    for shards in (1, 4):
        with CoreAlone(options.profile, {"LOG_SHARDS": str(shards)}) as core:
            streams = [f"stream-{number}" for number in range(_STREAMS)]
            core.create(streams)
            rate = _STREAMS * _RATE_EACH
            answers, figures = measured(core.house, partial(offer, core, streams, rate, options.seconds), os.getpid())
        yield f"{_STREAMS:,} streams, {_RATE_EACH}/s each, log shards: {shards}", {**told(answers), **figures}


def idle(_options: Namespace) -> rounds.Round:
    """One round."""
    with CoreAlone() as core:
        core.create(["quiet"])
        yield "idle, at core", told(one_by_one(core, "quiet", _IDLE_POSTS))
    with Ours(settings=_LIFTED) as ours, _posters(ours, "http", nap_us=0) as load:
        yield "idle, over HTTP", told(load.offer(_IDLE_RATE, _IDLE_POSTS / _IDLE_RATE))


def _at_door(way: str, options: Namespace) -> rounds.Round:
    with Ours(options.profile, _LIFTED) as ours, _posters(ours, way) as load:

        def step(rate: float) -> tuple[Answers, rounds.Figures]:
            return measured(ours.house, partial(load.offer, rate, options.seconds), load.pid)

        yield from raised(f"edge, {way}", _DOOR_RATES, step)


def _posters(ours: Ours, way: str, nap_us: int = 300) -> PostLoad:
    tokens = [ours.house.token(f"poster-{number}") for number in range(_POSTERS)]
    return PostLoad(ours.port, way, STREAM, tokens, nap_us)


def main() -> None:
    """The command."""
    parts: suite.Parts = {
        "ingest": ingest,
        "one_a_message": one_a_message,
        "unfenced": unfenced.measure,
        "small_streams": small_streams,
        "idle": idle,
        "http": partial(_at_door, "http"),
        "websocket": partial(_at_door, "websocket"),
    }
    suite.run(WRITE_PATH, __doc__, parts)


if __name__ == "__main__":
    main()
