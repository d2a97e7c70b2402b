"""The latest comments by HTTP: from memory, the same as storage would give, and also when that is gone."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from livecomments.errors import Reason
from livecomments.v1.history_service_pb2 import ListRecentCommentsRequest, ListRecentCommentsResponse
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from tests.e2e.test_errors import refused
from tests.grpc_web import call_once
from tests.processes import eventually
from tests.system import System

_METHOD = "HistoryService/ListRecentComments"
_STORE_READS = 'livecomments_storage_store_reads_total{method="ListRecentComments"}'


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own, whose storage may be killed."""
    with System(tmp_path_factory.mktemp("recent"), core_user_rate="0", edge_address_rate="0") as running:
        yield running


def recent(system: System, stream: str, query: str = "", token: str = "") -> Any:
    answer = system.request("GET", f"/v1/streams/{stream}/comments/recent{query}", token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def texts(page: Any) -> list[str]:
    return [comment["text"] for comment in page["comments"]]


def test_memory_gives_the_pages_that_storage_would_give(own: System) -> None:
    stream = own.create_stream()
    own.post(stream, "c0")
    own.stored(stream, lambda comments: len(comments) == 1)
    with own.watch(stream) as viewer, grpc.insecure_channel(own.storage.address) as channel:
        # The first stands in the store when the feed begins here, the others come by the feed.
        for number in range(1, 6):
            own.post(stream, f"c{number}")
        viewer.until(lambda v: len(v.texts()) == 6, "all are here")
        own.stored(stream, lambda comments: len(comments) == 6)
        for limit in range(8):
            before = own.storage.metric(_STORE_READS)
            page = recent(own, stream, f"?limit={limit or 100}")
            asked = ListRecentCommentsRequest(stream_id=stream, page_size=limit)
            called = call_once(own.url, _METHOD, asked).one(ListRecentCommentsResponse)
            assert own.storage.metric(_STORE_READS) == before, "the store is not read"
            stored = HistoryServiceStub(channel).ListRecentComments(asked, timeout=10)
            # Those are for fanout.
            stored.ClearField("comment_seqs")
            stored.ClearField("comment_indices")
            assert called == stored
            assert [comment["comment_id"] for comment in page["comments"]] == [c.comment_id for c in stored.comments]
            assert page.get("oldest_cursor", "") == stored.next_page_token
            assert page["cursor"] == stored.through_cursor


def test_a_deleted_comment_is_gone_from_the_latest(own: System) -> None:
    stream = own.create_stream()
    posted = [own.post(stream, f"c{number}") for number in range(3)]
    assert eventually(lambda: texts(recent(own, stream)) == ["c0", "c1", "c2"], "all three are shown")
    path = f"/v1/streams/{stream}/comments/{posted[1]['comment_id']}"
    assert own.request("DELETE", path, token=own.token("host", role="host")).status_code == 204
    eventually(lambda: texts(recent(own, stream)) == ["c0", "c2"], "the deleted one is gone")


def test_a_private_stream_stays_private_when_it_is_in_memory(own: System) -> None:
    stream = own.create_stream(visibility="private")
    member = own.token("ann", streams=(stream,))
    assert own.try_post(stream, "secret", token=member).status_code == 202
    with own.watch(stream, token=member):
        path = f"/v1/streams/{stream}/comments/recent"
        refused(own.request("GET", path), Reason.UNAUTHENTICATED)
        refused(own.request("GET", path, token=own.token("eve")), Reason.FORBIDDEN)
        assert texts(recent(own, stream, token=member)) == ["secret"]


def test_without_storage_the_latest_of_a_warm_stream_are_there_and_older_ones_are_refused(own: System) -> None:
    stream = own.create_stream()
    for number in range(6):
        own.post(stream, f"c{number}")
    own.stored(stream, lambda comments: len(comments) == 6)
    with own.watch(stream) as viewer:
        own.storage.kill()
        try:
            own.post(stream, "c6")
            viewer.until(lambda v: "c6" in v.texts(), "the feed goes on")
            assert texts(recent(own, stream)) == [f"c{number}" for number in range(7)]
            page = recent(own, stream, "?limit=3")
            assert texts(page) == ["c4", "c5", "c6"]
            older = f"?limit=3&cursor={page['oldest_cursor']}"
            refused(own.request("GET", f"/v1/streams/{stream}/comments/recent{older}"), Reason.OVERLOADED)
        finally:
            own.storage.start()

        def pages() -> list[str]:
            answer = own.request("GET", f"/v1/streams/{stream}/comments/recent{older}")
            return texts(answer.json()) if answer.status_code == 200 else []

        assert eventually(pages, "older ones are there again") == ["c1", "c2", "c3"]
