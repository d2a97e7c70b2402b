"""``livecomments up``, with everything that it starts."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.cli.terminal import COMMAND, environment, livecomments
from tests.processes import eventually

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
"""127.0.0.1 as /proc/net/tcp and tcp6 write it; gRPC takes an IPv6 socket for it."""
CHILDREN = ("nats-server", "core", "storage", "fanout", "edge")


class Instance:
    """A running instance; leaving kills it, and fails when a child is left behind."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self._output = data_dir.with_suffix(".out")
        self._env = environment({f"LIVECOMMENTS_{key.upper()}": value for key, value in settings.items()})
        self.pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._popen = subprocess.Popen(
                [COMMAND, "up", "--port", "0", "--data", self.data_dir],
                env=self._env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.wait(10)
        self.assert_nothing_is_left()

    def ready(self) -> Self:
        """Waits until it says that it is."""
        eventually(lambda: "Ready" in self.shown() or self._popen.poll() is not None, "the instance is ready", 60)
        assert self._popen.poll() is None, self.shown()
        instance = json.loads((self.data_dir / "instance.json").read_text())
        self.url: str = instance["http"]
        self.pids = instance["pids"]
        assert self.pids["up"] == self._popen.pid
        return self

    def shown(self) -> str:
        return self._output.read_text()

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def ended(self) -> int:
        """Waits for its end; returns the exit code."""
        return self._popen.wait(60)

    def is_left(self) -> list[str]:
        return [name for name in CHILDREN if name in self.pids and _lives(self.pids[name])]

    def assert_nothing_is_left(self) -> None:
        eventually(lambda: not self.is_left(), f"no child of {self.data_dir} is left", 10)


def _lives(pid: int) -> bool:
    """Dead ones that nobody has reaped yet don't count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance(tmp_path / "data") as started:
        yield started.ready()


def listening_addresses(pids: set[int]) -> set[str]:
    """Local addresses of the listening TCP sockets of some processes."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            # One that listens stays; others are closed at any moment.
            with suppress(FileNotFoundError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].rpartition(":")[0])
    return found


def test_everything_runs_on_loopback_with_a_demo_stream_and_drains_on_sigterm(instance: Instance) -> None:
    assert httpx.get(f"{instance.url}/readyz").status_code == 200
    assert httpx.get(f"{instance.url}/v1/streams/demo").json()["title"] == "Demo"
    assert set(instance.is_left()) == set(CHILDREN)
    assert listening_addresses(set(instance.pids.values())) == LOOPBACK
    shown = instance.shown()
    token = shown.partition("#token=")[2].split()[0]
    video = "/static/clip/clock.webm"
    assert httpx.head(f"{instance.url}{video}").status_code == 200
    page = f"demo?video={video}"
    for line in (f"{instance.url}/watch/{page}#token={token}", f"{instance.url}/replay/{page}", f"TOKEN={token}"):
        assert line in shown
    posted = httpx.post(
        f"{instance.url}/v1/streams/demo/comments",
        json={"text": "hello"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert posted.status_code == 202
    instance.signal(signal.SIGTERM)
    assert instance.ended() == 0
    assert instance.is_left() == []
    assert "killed" not in instance.shown()
    assert not (instance.data_dir / "instance.json").exists()


def test_the_next_run_has_the_comments_of_the_last(tmp_path: Path) -> None:
    with Instance(tmp_path / "data") as first:
        first.ready()
        posted = livecomments("post", "demo", "still here", "--user", "ann", "--data", first.data_dir)
        assert posted.code == 0
        first.signal(signal.SIGINT)
        assert first.ended() == 0
    with Instance(tmp_path / "data") as second:
        second.ready()
        recent = httpx.get(f"{second.url}/v1/streams/demo/comments/recent").json()["comments"]
    assert [(comment["comment_id"], comment["text"]) for comment in recent] == [(posted.out.strip(), "still here")]


def test_a_child_that_dies_is_named_and_takes_the_rest_along(instance: Instance) -> None:
    os.kill(instance.pids["fanout"], signal.SIGKILL)
    assert instance.ended() == 1
    assert "fanout ended unexpectedly (killed by SIGKILL)" in instance.shown()
    assert instance.is_left() == []


def test_nothing_outlives_an_instance_that_was_killed(instance: Instance) -> None:
    instance.signal(signal.SIGKILL)
    instance.ended()
    instance.assert_nothing_is_left()


def test_a_frozen_child_does_not_keep_the_others_from_stopping(instance: Instance) -> None:
    os.kill(instance.pids["storage"], signal.SIGSTOP)
    instance.signal(signal.SIGINT)
    assert instance.ended() == 0
    assert "storage did not stop in time" in instance.shown()
    assert instance.is_left() == []


def test_a_second_ctrl_c_ends_everything_at_once(instance: Instance) -> None:
    os.kill(instance.pids["edge"], signal.SIGSTOP)
    instance.signal(signal.SIGINT)
    eventually(lambda: "Stopping" in instance.shown(), "it is stopping")
    instance.signal(signal.SIGINT)
    eventually(lambda: not instance.is_left(), "all are gone at once", 3)
    instance.ended()


def test_ctrl_c_while_it_starts_ends_it(tmp_path: Path) -> None:
    with Instance(tmp_path / "data") as starting:
        eventually((tmp_path / "data/logs/storage.log").exists, "it is starting")
        starting.signal(signal.SIGINT)
        assert starting.ended() == 0
        assert "Ready" not in starting.shown()
        assert "Traceback" not in starting.shown()


def test_two_instances_run_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as stack:
        both = [stack.enter_context(Instance(tmp_path / name)) for name in ("one", "two")]
        for instance in both:
            instance.ready()
        livecomments("post", "demo", "only here", "--user", "ann", "--data", both[0].data_dir)
        texts = [
            [comment["text"] for comment in httpx.get(f"{one.url}/v1/streams/demo/comments/recent").json()["comments"]]
            for one in both
        ]
        assert texts == [["only here"], []]
        taken = livecomments("up", "--port", "0", "--data", both[0].data_dir)
        assert taken.code == 2
        assert "in use by another instance" in taken.err


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = livecomments("up", "--port", str(port), "--data", tmp_path / "data")
    assert shown.code == 2
    assert shown.err.splitlines() == [f"livecomments: port {port} is taken: choose another with --port"]


def test_a_setting_that_only_a_child_can_judge_is_one_line(tmp_path: Path) -> None:
    with Instance(tmp_path / "data", core_metrics_listen="nowhere") as refused:
        assert refused.ended() == 2
        complaints = [line for line in refused.shown().splitlines() if line.startswith("livecomments:")]
        assert len(complaints) == 1
        assert "core could not start: setting LIVECOMMENTS_CORE_METRICS_LISTEN" in complaints[0]
        assert "Traceback" not in refused.shown()
