"""How long the latest 100 comments take on join: from fanout's memory, and of a stream that nobody has watched.

    scripts/bench/recent --joins 2000 --cold 50

One client calls Watch at fanout, one call after the other, and counts from the call until it holds the snapshot. The
metric is fanout's own: making the snapshot alone, without gRPC. Fanout has the first core for itself. Beside it stands
HTTP's ``recent``, which the edge answers from its own memory, and the page before that, which the store answers.
"""

import http.client
import json
import time
from argparse import Namespace
from collections.abc import Callable

import grpc
import rounds
from comments import text
from house import House, ask
from percentiles import percentile

from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub

_COMMENTS = 100
_TEXT_SIZE = 80
_METRIC = "livecomments_fanout_snapshot_seconds"
_SETTINGS = {
    "CORE_USER_RATE": "0",
    "EDGE_ADDRESS_RATE": "0",
    "LOG_LEVEL": "warning",
    "DRAIN_S": "0.5",
    "EDGE_DRAIN_S": "0.1",
}


class Stage:
    """A running system, and streams with comments in the store."""

    def __init__(self, house: House) -> None:
        house.start("storage")
        house.start("core")
        self.fanout = house.start("fanout")[1]["listen"]
        edge, addresses = house.start("edge")
        self.edge = addresses["listen"]
        edge.until(lambda: ask(self.edge, "GET", "/readyz")[0] == 200, "is ready")
        self._headers = {"Authorization": f"Bearer {house.token('host', 'host')}"}

    def stream(self, name: str) -> str:
        """One whose comments are stored, and which nobody has watched."""
        self._ask("POST", "/v1/streams", {"stream_id": name, "title": name})
        connection = http.client.HTTPConnection(self.edge, timeout=10)
        for number in range(_COMMENTS):
            body = json.dumps({"text": text((number, 0), _TEXT_SIZE)})
            connection.request("POST", f"/v1/streams/{name}/comments", body, self._headers)
            if connection.getresponse().read() == b"":
                raise SystemExit("a post was not answered")
        connection.close()
        # Not the latest: those are in memory, and to ask for them warms it.
        stored = f"/v1/streams/{name}/comments?duration=3600&limit={_COMMENTS}"
        while len(json.loads(self._ask("GET", stored))["comments"]) < _COMMENTS:
            time.sleep(0.05)
        return name

    def recent(self, name: str, query: str) -> str:
        """A page by HTTP, and the token of the one before it."""
        page = json.loads(self._ask("GET", f"/v1/streams/{name}/comments/recent{query}"))
        return str(page.get("oldest_cursor", ""))

    def _ask(self, method: str, path: str, body: object = None) -> str:
        status, answer = ask(self.edge, method, path, None if body is None else json.dumps(body), self._headers)
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return answer


def join(stub: FeedServiceStub, name: str) -> None:
    """Watches until the snapshot is there."""
    call = stub.Watch(WatchRequest(stream_id=name))
    first = next(call)
    call.cancel()
    if not isinstance(first, WatchResponse) or len(first.snapshot.comments) != _COMMENTS:
        raise SystemExit("that was no whole snapshot")


def times_ms(count: int, once: Callable[[int], None]) -> dict[str, float]:
    """Percentiles of so many, one after the other."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        once(number)
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50 ms": percentile(taken, 0.5), "p99 ms": percentile(taken, 0.99)}


def measure(options: Namespace) -> rounds.Round:
    """One round."""
    with House("fanout", _SETTINGS, options.profile) as house:
        stage = Stage(house)
        names = [stage.stream(f"cold-{number}") for number in range(options.cold)]
        with grpc.insecure_channel(stage.fanout) as channel:
            stub = FeedServiceStub(channel)
            yield "Watch, cold", times_ms(len(names), lambda number: join(stub, names[number]))
            sums = [house.sample("fanout", f"{_METRIC}_{what}") for what in ("sum", "count")]
            yield "Watch, from memory", times_ms(options.joins, lambda _: join(stub, names[-1]))
            spent, made = (
                house.sample("fanout", f"{_METRIC}_{what}") - before
                for what, before in zip(("sum", "count"), sums, strict=True)
            )
            yield "the snapshot alone", {"mean ms": spent / made * 1000}
        reads, half = options.joins // 4, f"?limit={_COMMENTS // 2}"
        yield "recent by HTTP, from memory", times_ms(reads, lambda _: stage.recent(names[-1], half))
        older = f"{half}&cursor={stage.recent(names[-1], half)}"
        yield "the page before, from the store", times_ms(reads, lambda _: stage.recent(names[-1], older))


def main() -> None:
    """The command."""
    options = rounds.arguments(__doc__, joins=2000, cold=50).parse_args()
    rounds.run(options.rounds, f"The latest {_COMMENTS} comments on join", lambda: measure(options))


if __name__ == "__main__":
    main()
