"""docs/running.md: its parts, started by its commands as they stand there."""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from livecomments.local import nats_server_binary
from tests.commands import Elsewhere, answers, bash, terminal, with_environment
from tests.processes import Process, eventually
from tests.texts import examples

# Nine processes, most of them one after the other.
pytestmark = pytest.mark.timeout(300)
PAGE = "docs/running.md"
(TERMINALS,) = examples(PAGE, "sh", under="The parts apart")
(TIER,) = examples(PAGE, "sh", under="Tiers of fanouts")
LEAVING = examples(PAGE, "bash", under="An edge on several cores, and one that leaves")
SERVING = (4222, 7301, 7101, 7102, 7201, 8080, 8081)
"""Where the terminals' programs answer, in their order."""


class Apart:
    """The parts in terminals of their own, as the page has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = with_environment(folder)
        self.elsewhere = Elsewhere(TERMINALS, TIER)
        self._running = ExitStack()
        self.terminals: list[Process] = []

    def __enter__(self) -> Self:
        set_up, tour = examples(PAGE, "bash", under="The parts apart")
        self.bash(set_up)
        with self._running as opening:
            self.open(TERMINALS, SERVING)
            self.ready(8080, 8081)
            self.toured = self.bash(tour)
            self._running = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def open(self, lines: str, serving: tuple[int, ...]) -> None:
        """Types each line into another terminal, one after the other, once the one before serves at its port."""
        for line, port in zip(self.elsewhere(lines).splitlines(), serving, strict=True):
            process = terminal(f"terminal-{len(self.terminals)}", line, self.folder)
            self.terminals.append(self._running.enter_context(process))
            at = self.elsewhere.port(port)
            eventually(lambda p=process, n=at: p.alive() and answers(n), f"serves: {line}", 60)

    def bash(self, script: str) -> str:
        return bash(self.elsewhere(script), self.folder)

    def ready(self, *ports: int) -> None:
        """Waits until the edges there may be sent requests."""
        for port in ports:
            url = f"http://127.0.0.1:{self.elsewhere.port(port)}/readyz"
            eventually(lambda u=url: is_ready(u), f"{url} is ready", 60)

    def edge(self) -> dict[str, Any]:
        """What the edge of several processes says of itself."""
        facts: dict[str, Any] = json.loads((self.folder / "apart" / "edge.json").read_text())
        return facts


def is_ready(url: str) -> bool:
    # Its address is there before its processes are: the first may ask in vain.
    with suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False).status_code == 200
    return False


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with Apart(tmp_path_factory.mktemp("checkout")) as running:
        yield running


def test_what_is_posted_at_one_edge_is_seen_at_the_other(apart: Apart) -> None:
    created, posted, *seen = apart.toured.replace("}{", "}\n{").splitlines()
    assert '"stream_id":"apart"' in created
    assert '"cursor":' in posted
    assert '"text":"from one edge"' in "".join(seen)


def test_an_edge_is_ready_and_tells_its_metrics(apart: Apart) -> None:
    (watch,) = examples(PAGE, "bash", under="What to watch")
    shown = apart.bash(watch)
    assert re.search(r"^livecomments_edge_connections \d", shown, re.MULTILINE)


def test_the_log_is_written_into_the_database_once_more(apart: Apart) -> None:
    (rewind,) = examples(PAGE, "bash", under="When the database comes back without its last rows")

    def rewound() -> bool:
        # Nothing was written yet when the stream's comment is younger than the writer's last turn.
        return "is written again from 1 on" in apart.bash(rewind)

    eventually(rewound, "the whole log is written again")


def test_a_tier_below_has_the_feed_of_the_one_above(apart: Apart) -> None:
    (look,) = examples(PAGE, "bash", under="Tiers of fanouts")
    apart.open(TIER, (7211, 8082))
    apart.ready(8082)
    assert '"text":"from one edge"' in apart.bash(look)


def test_an_edge_is_renewed_and_leaves(apart: Apart) -> None:
    renew, leave = LEAVING
    assert [worker["name"] for worker in apart.edge()["workers"]] == ["0.0", "1.0"]
    apart.bash(renew)
    eventually(
        lambda: [worker["name"] for worker in apart.edge()["workers"]] == ["0.1", "1.1"], "both workers are new", 60
    )
    apart.ready(8081)
    apart.bash(leave)
    process = apart.terminals[SERVING.index(8081)].popen
    assert process is not None
    assert process.wait(60) == 0


def test_the_clusters_configuration_is_valid(tmp_path: Path) -> None:
    (shown,) = examples(PAGE, "conf", under="NATS")
    file = tmp_path / "nats.conf"
    file.write_text(shown)
    command = [nats_server_binary(), "-t", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_a_keyspace_is_made(cql_port: int, tmp_path: Path) -> None:
    (migrate,) = examples(PAGE, "bash", under="ScyllaDB")
    # One server stands for the three.
    here = migrate.replace("db1,db2,db3/comments", f"127.0.0.1:{cql_port}/k{uuid.uuid4().hex[:16]}")
    here = here.replace("REPLICAS=3", "REPLICAS=1")
    made = bash(here, with_environment(tmp_path))
    assert made.startswith(f"127.0.0.1:{cql_port}/k")
    assert re.search(r"schema version \d+, was 0$", made.strip())
