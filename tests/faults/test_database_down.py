"""The database is down while people post: nobody notices, nothing is lost, and the log makes room afterwards.

It is down as a locked file: another connection holds SQLite's write lock, so no transaction of storage begins.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer, follow

LAG_MESSAGES = 'livecomments_storage_writer_lag_messages{shard="0"}'
LAG_SECONDS = 'livecomments_storage_writer_lag_seconds{shard="0"}'
STALLED = 'livecomments_storage_writer_stalled{shard="0"}'
TRIMMED = 'livecomments_storage_trimmed_messages_total{shard="0"}'
BULKY = "🏟" * 500


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with the smallest log, of which nothing is kept once it is written and in the way."""
    limits = {"core_user_rate": "0", "edge_address_rate": "0", "log_bytes": str(1024 * 1024)}
    with System(tmp_path_factory.mktemp("house"), **limits, log_full_keeps_minutes="0") as running:
        yield running


@contextmanager
def database_down(house: System) -> Iterator[None]:
    connection = sqlite3.connect(house.data_dir / "comments.db", isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def health(house: System, part: str) -> int:
    with grpc.insecure_channel(house.storage.address) as channel:
        request = health_pb2.HealthCheckRequest(service=part)
        status: int = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status
        return status


def ids(comments: list[dict[str, Any]]) -> list[str]:
    return [comment["comment_id"] for comment in comments]


def see_all(viewer: Viewer, posted: list[dict[str, Any]]) -> None:
    follow([viewer], lambda: viewer.ids() == ids(posted), "the viewer sees all that was accepted")


def test_posting_and_delivery_go_on_and_the_writer_catches_up(house: System) -> None:
    stream = house.create_stream()
    viewer = house.watch(stream)
    posted = [house.post(stream, "before")]
    house.stored(stream, lambda comments: len(comments) == 1)
    with database_down(house):
        posted += [house.post(stream, f"during {number}") for number in range(20)]
        see_all(viewer, posted)
        eventually(lambda: house.storage.metric(STALLED) == 1, "the metric tells of the stalled writer")
        eventually(lambda: health(house, "livecomments.storage.Writer") == 2, "health tells of the stalled writer")
        assert health(house, "livecomments.v1.HistoryService") == health(house, "") == 1
        behind = eventually(lambda: house.storage.metric(LAG_MESSAGES), "the lag is known")
        posted += [house.post(stream, f"later {number}") for number in range(5)]
        eventually(lambda: house.storage.metric(LAG_MESSAGES) == behind + 5, f"the lag grows by 5 from {behind}")
        older = house.storage.metric(LAG_SECONDS)
        since = time.monotonic()
        eventually(lambda: house.storage.metric(LAG_SECONDS) > older + 1, f"the lag grows from {older} s")
        assert house.storage.metric(LAG_SECONDS) < older + (time.monotonic() - since) + 1
        assert ids(house.replay(stream)) == ids(posted[:1])
        see_all(viewer, posted)
    stored = house.stored(stream, lambda comments: len(comments) >= len(posted))
    assert ids(stored) == ids(posted)
    eventually(lambda: house.storage.metric(LAG_MESSAGES) == 0, "nothing is left to write")
    assert house.storage.metric(LAG_SECONDS) == 0
    eventually(lambda: health(house, "livecomments.storage.Writer") == 1, "health tells that the writer is well")
    assert house.storage.metric(STALLED) == 0
    viewer.disconnect()


def test_a_full_log_refuses_posts_drops_nothing_and_makes_room_once_it_is_written(house: System) -> None:
    stream = house.create_stream()
    viewer = house.watch(stream)
    posted = []
    meta = {"pad": "x" * 1000}
    with database_down(house):
        while (answer := house.try_post(stream, BULKY, meta=meta)).status_code == 202:
            posted.append(answer.json())
            assert len(posted) < 1000, "the log is never full"
        assert answer.status_code == 503, answer.text
        assert (answer.json()["reason"], "log is full" in answer.json()["detail"]) == ("OVERLOADED", True)
        see_all(viewer, posted)
        trimmed = house.storage.metric(TRIMMED)
        assert house.try_post(stream, BULKY, meta=meta).status_code == 503
    posted.append(house.post_until_accepted(stream, BULKY, meta=meta))
    eventually(lambda: house.storage.metric(TRIMMED) > trimmed, f"more is trimmed than {trimmed} messages")
    stored = house.stored(stream, lambda comments: len(comments) >= len(posted))
    assert ids(stored) == ids(posted)
    see_all(viewer, posted)
    viewer.disconnect()
