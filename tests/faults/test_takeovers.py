"""Two cores, two fanouts, two storages, two edges: whichever is killed or frozen, the other goes on in its place.

What was harmed is healed only when all has gone on without it.
"""

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.posting import Posting, check_once
from tests.processes import Service, eventually
from tests.system import System
from tests.viewers import Viewer, follow, watch

ON = 60
"""Comments that are to be accepted before the next thing happens."""
PAUSE_MAX_S = 10
"""A second or two, says scripts/bench/takeover, and this machine may be busy. Whoever waited for the deadlines of calls
to one that is gone, or for the kernel to give its connections up, would stand still for longer.
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    folder: Path = tmp_path_factory.mktemp("takeovers")
    with System(folder, cores=2, fanouts=2, storages=2, **limits) as running:
        yield running


@pytest.fixture(scope="module")
def edges(system: System) -> Iterator[list[Service]]:
    with system.service("edge", "-2") as second:
        yield [system.edge, second]


class Crowd:
    """Viewers at both edges, who see what is posted at both."""

    def __init__(self, edges: list[Service], posting: Posting) -> None:
        self._posting = posting
        self.viewers = [Viewer(f"http://{edge.address}", posting.stream) for edge in edges for _ in range(2)]

    def goes_on(self, what: str) -> None:
        """Waits until more was accepted, and was seen by everyone."""
        enough = len(self._posting.accepted) + ON
        follow(self.viewers, lambda: len(self._posting.accepted) >= enough, f"{what}: posting goes on")
        ids = set(list(self._posting.accepted)[:enough])
        follow(self.viewers, lambda: all(ids <= set(v.ids()) for v in self.viewers), f"{what}: the feed goes on")


def kill(service: Service) -> None:
    service.kill()


def freeze(service: Service) -> None:
    service.signal(signal.SIGSTOP)


def heal(service: Service) -> None:
    if service.popen is None:
        service.start()
    else:
        service.signal(signal.SIGCONT)


def until_told(edges: list[Service], event: str, core: Service) -> None:
    """Waits until the last that each edge has said of a core is that it was reached, or lost."""

    def last_told(edge: Service) -> str:
        told = [json.loads(line) for line in edge.output.read_text().splitlines() if f'"{core.address}"' in line]
        return str(told[-1]["event"]) if told else "nothing"

    eventually(lambda: all(last_told(edge) == f"core {event}" for edge in edges), f"the edges have {event} {core.name}")


@pytest.mark.parametrize("harm", [kill, freeze])
def test_nothing_is_lost_or_doubled_when_one_of_two_is_gone(
    system: System, edges: list[Service], harm: Callable[[Service], None]
) -> None:
    stream = system.create_stream()
    with Posting(system, stream, edges) as posting:
        crowd = Crowd(edges, posting)
        try:
            crowd.goes_on("before anything")
            for core in system.cores:
                until_told(edges, "reached", core)
                harm(core)
                until_told(edges, "lost", core)
                crowd.goes_on(f"without {core.name}")
                heal(core)
                until_told(edges, "reached", core)
            for fanout in system.fanouts:
                harm(fanout)
                crowd.goes_on(f"without {fanout.name}")
                heal(fanout)
            for storage in system.storages:
                harm(storage)
                crowd.goes_on(f"without {storage.name}")
                path = f"/v1/streams/{stream}/comments?duration=3600"
                # The other has only just come back, maybe.
                eventually(lambda p=path: system.request("GET", p).is_success, f"reads without {storage.name}")
                assert all(system.request("GET", path).is_success for _ in system.storages)
                heal(storage)
            posting.stop()
            check_once(system, posting, crowd.viewers)
            assert posting.longest_pause() < PAUSE_MAX_S
        finally:
            for viewer in crowd.viewers:
                viewer.disconnect()


@pytest.fixture(scope="module")
def opposed(system: System) -> Iterator[list[Service]]:
    """Two edges of which each knows another core, and takes it for the owner of every stream."""
    first, second = (
        system.service("edge", f"-of-{core.name}", core_urls=core.address, edge_drain_s="0") for core in system.cores
    )
    with first, second:
        for edge, core in zip((first, second), system.cores, strict=True):
            until_told([edge], "reached", core)
        yield [first, second]


def test_two_cores_that_both_own_a_stream_give_one_answer_to_one_key(system: System, opposed: list[Service]) -> None:
    stream = system.create_stream()
    token = system.token("ann")

    def post(edge: Service, key: str, text: str) -> httpx.Response:
        url = f"http://{edge.address}/v1/streams/{stream}/comments"
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return system.client.post(url, json={"text": text}, headers=headers)

    answers = []
    with ThreadPoolExecutor(2) as both:
        for number in range(10):
            first, second = opposed if number % 2 else reversed(opposed)
            at_once = both.map(lambda edge, n=number: post(edge, f"k{n}", f"text {n}"), (first, second))
            answers += [answer.json() for answer in at_once if answer.status_code == 202]
            afterwards = post(second, f"k{number}", f"text {number}")
            assert afterwards.json() == answers[-1] == answers[-2]
            for edge in opposed:
                refused = post(edge, f"k{number}", "another text")
                assert (refused.status_code, refused.json()["reason"]) == (422, "KEY_REUSED")
    ids = list(dict.fromkeys(answer["comment_id"] for answer in answers))
    assert len(ids) == 10
    with system.watch(stream) as viewer:
        assert viewer.ids() == ids


@pytest.mark.parametrize("after", [1, 30, 100])
def test_nothing_is_accepted_or_shown_behind_an_end_that_only_one_of_two_owners_was_told(
    system: System, opposed: list[Service], after: int
) -> None:
    stream = system.create_stream()
    viewers = [Viewer(f"http://{edge.address}", stream) for edge in opposed]
    with Posting(system, stream, opposed) as posting:
        watch(viewers, lambda: len(posting.accepted) >= after, "posting goes well")
        system.end_stream(stream)
        watch(viewers, lambda: all(viewer.closed for viewer in viewers), "the feeds end")
    check_once(system, posting, viewers)
    for viewer in viewers:
        assert viewer.events[-1].name == "stream_ended"
        assert len(viewer.ids()) == len(posting.accepted), "what was refused is not shown"
