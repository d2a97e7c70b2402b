"""Whatever strangers send to an edge, split, pipelined, oversized or malformed: nobody who watches is disturbed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.fuzzed import Fuzzed
from tests.fuzz.visits import Visit, visits
from tests.system import System


@pytest.fixture(scope="module")
def fuzzed(system: System) -> Iterator[Fuzzed]:
    with Fuzzed(system) as found:
        yield found
        found.assert_nothing_is_left()


def test_whoever_is_the_first_to_read_history_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    read = Visit((b"GET /v1/streams/STREAM/comments HTTP/1.1\r\nHost: test\r\n\r\n",))
    with System(tmp_path) as fresh, Fuzzed(fresh) as strangers:
        strangers.visit([read])
        strangers.assert_nothing_is_left()


# Not shrunk: an edge that has been brought down would fail whatever comes next, too.
@given(st.lists(visits, min_size=1, max_size=20))
@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_whatever_strangers_send_disturbs_nobody(fuzzed: Fuzzed, found: list[Visit]) -> None:
    fuzzed.visit(found)
