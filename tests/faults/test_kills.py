"""Each part is killed with SIGKILL in the middle of posting, and comes back: nothing accepted is lost or doubled."""

from collections.abc import Callable, Iterator

import pytest

from tests.posting import Posting, check_once
from tests.system import System
from tests.viewers import follow


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own, whose parts may be killed."""
    limits = {"core_user_rate": "0", "edge_address_rate": "0", "edge_max_comments_per_second": "0"}
    with System(tmp_path_factory.mktemp("mortal"), **limits) as running:
        yield running


def kill_core(system: System) -> None:
    system.core.kill()
    system.core.start()


def kill_storage(system: System) -> None:
    system.storage.kill()
    system.storage.start()


def kill_fanout(system: System) -> None:
    system.fanout.kill()
    system.fanout.start()


def kill_nats(system: System) -> None:
    system.nats.kill()
    system.nats.start()


def kill_edge(system: System) -> None:
    system.edge.kill()
    system.edge.start()


@pytest.mark.parametrize("kill", [kill_core, kill_storage, kill_fanout, kill_nats, kill_edge])
def test_nothing_accepted_is_lost_or_doubled_when_a_part_is_killed(
    mortal: System, kill: Callable[[System], None]
) -> None:
    stream = mortal.create_stream()
    viewers = [mortal.watch(stream) for _ in range(3)]
    try:
        with Posting(mortal, stream) as posting:
            for _ in range(2):
                before = len(posting.accepted)
                follow(viewers, lambda n=before: len(posting.accepted) > n + 100, "posting goes well")
                kill(mortal)
                during = len(posting.accepted)
                follow(viewers, lambda n=during: len(posting.accepted) > n + 100, "posting goes on after the kill")
            posting.stop()
        check_once(mortal, posting, viewers)
    finally:
        for viewer in viewers:
            viewer.disconnect()
