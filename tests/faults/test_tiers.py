"""Root fanout, regional ones, a local one, an edge: those in the middle are killed and frozen, and viewers at the far
end see what those beside the root see.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.posting import POSTERS, Posting
from tests.processes import Service
from tests.system import System
from tests.viewers import Viewer, follow

# Nine processes, one after the other.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Tiers:
    """A system whose own edge stands beside the root, and what is below."""

    system: System
    regionals: tuple[Service, Service]
    far_edge: Service

    def watch_far_away(self, stream_id: str, cursor: str = "") -> Viewer:
        viewer = Viewer(f"http://{self.far_edge.address}", stream_id, cursor=cursor)
        viewer.until(lambda v: v.events, "the first event")
        return viewer


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    with ExitStack() as stack:
        system = stack.enter_context(System(tmp_path_factory.mktemp("tiers"), **limits))
        nowhere = {"nats_url": "nats://127.0.0.1:1", "storage_urls": ""}
        root = system.fanout.address
        one, two = (
            stack.enter_context(system.service("fanout", f"-regional-{n}", fanout_upstream_urls=root, **nowhere))
            for n in (1, 2)
        )
        both = f"{one.address},{two.address}"
        local = stack.enter_context(system.service("fanout", "-local", fanout_upstream_urls=both, **nowhere))
        edge = stack.enter_context(system.service("edge", "-far", fanout_urls=local.address))
        yield Tiers(system, (one, two), edge)


def test_nothing_is_lost_or_doubled_three_tiers_down_when_the_middle_is_killed_or_frozen(tiers: Tiers) -> None:
    system = tiers.system
    stream = system.create_stream()
    viewers = [system.watch(stream), tiers.watch_far_away(stream), tiers.watch_far_away(stream)]
    far = viewers[1]

    def goes_on(what: str) -> None:
        """Waits for one that is posted from now on: others may be on their way already."""
        before = len(posting.accepted)
        follow(viewers, lambda: len(posting.accepted) > before + POSTERS, "posting goes on")
        new = list(posting.accepted)[-1]
        follow(viewers, lambda: new in far.ids(), what)

    try:
        with Posting(system, stream) as posting:
            goes_on("the feed reaches the far end")
            # One of the two feeds the local one.
            for regional in tiers.regionals:
                regional.kill()
                goes_on("another one feeds it")
                regional.start()
            for regional in tiers.regionals:
                regional.signal(signal.SIGSTOP)
                try:
                    goes_on("another one feeds it")
                finally:
                    regional.signal(signal.SIGCONT)
            late = tiers.watch_far_away(stream)
            viewers.append(late)
            goes_on("the feed goes on")
            posting.stop()
        assert not posting.failure
        follow(
            viewers,
            lambda: all(posting.accepted.keys() <= set(viewer.ids()) for viewer in viewers[:3]),
            "everyone sees all that was accepted",
        )
        order = viewers[0].ids()
        follow(viewers, lambda: all(viewer.ids()[-1:] == order[-1:] for viewer in viewers), "they are at the end")
        assert len(order) == len(set(order))
        assert all(viewer.ids() == order for viewer in viewers[:3]), "all see one order"
        assert len(late.ids()) > 100
        assert late.ids() == order[-len(late.ids()) :], "who comes late has no hole"
    finally:
        for viewer in viewers:
            viewer.disconnect()


def test_a_viewer_resumes_anywhere_in_the_tiers(tiers: Tiers) -> None:
    system = tiers.system
    stream = system.create_stream()
    posted = [system.post(stream, str(number)) for number in range(30)]
    texts = [str(number) for number in range(30)]
    for cut in (0, 10, 28):
        # The far end has never heard of this stream, or has only what came since it has.
        viewer = tiers.watch_far_away(stream, posted[cut]["cursor"])
        try:
            assert viewer.events[0].data["recovered"]
            viewer.until(lambda v, expected=texts[cut + 1 :]: v.texts() == expected, "what was missed")
        finally:
            viewer.disconnect()
