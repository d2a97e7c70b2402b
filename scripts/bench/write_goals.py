"""What the write path is to reach, and where the figures for it stand."""

from goals import Subject, at_least, at_most
from raising import most_at

_MOST, _SINGLE, _UNFENCED = (
    "one stream: most",
    "one comment a message: most",
    "one comment a message, unfenced, 256 at once",
)
_BESIDE, _NO_FENCE, _ONE_SHARD = "one comment a message", "the same, unfenced", "one shard"

WRITE_PATH = Subject(
    "write_path",
    "The write path, measured",
    (
        at_least(
            "comments/s into one stream through one core, durable, p99 < 50 ms", 30_000, (_MOST, most_at(50)),
            {_BESIDE: (_SINGLE, most_at(50)), _NO_FENCE: (_UNFENCED, "comments/s")},
        ),
        at_least(
            "the same, p99 < 250 ms", 30_000, (_MOST, most_at(250)), {_BESIDE: (_SINGLE, most_at(250))},
        ),
        at_most("the same at 30,000/s: p99 ms", 50, ("one stream, 30,000/s offered", "p99 ms")),
        at_most("the same: µs of core's CPU a comment", 33, ("one stream, 30,000/s offered", "core µs a comment")),
        at_most("one comment while nothing else goes on: p99 ms", 50, ("idle, at core", "p99 ms")),
        at_most("the same over HTTP", 50, ("idle, over HTTP", "p99 ms")),
        at_most(
            "1,000 streams at 5/s each: p99 ms", 250, ("1,000 streams, 5/s each, log shards: 4", "p99 ms"),
            {_ONE_SHARD: ("1,000 streams, 5/s each, log shards: 1", "p99 ms")},
        ),
        at_least(
            "comments/s over HTTP through one edge process, p99 < 250 ms", 1_000,
            ("edge, http: most", most_at(250)),
        ),
        at_least("the same over WebSocket", 1_000, ("edge, websocket: most", most_at(250))),
    ),
    (_BESIDE, _NO_FENCE, _ONE_SHARD),
)  # fmt: skip
