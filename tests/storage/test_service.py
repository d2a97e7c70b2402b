"""HistoryService as its clients see it: a real storage process behind gRPC."""

from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js import JetStreamContext

from livecomments.errors import Reason, Refusal
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.log import Shard
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE, Comment
from livecomments.v1.history_service_pb2 import (
    ExportCommentsRequest,
    GetCommentRequest,
    ListCommentsRequest,
    ListRecentCommentsRequest,
)
from tests.processes import Service
from tests.storage.broadcast import (
    CALL_S,
    History,
    as_user,
    comment,
    comment_id_at,
    create_stream,
    deleted,
    ended,
    history_of,
    posted,
    publish,
)

pytestmark = pytest.mark.anyio


async def refusal_of(call: Any) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return Refusal.from_rpc_error(refused.value)


async def list_(history: History, **request: Any) -> Any:
    return await history.stub.ListComments(
        ListCommentsRequest(**{"stream_id": "demo", "duration_ms": 1_000, **request}), timeout=CALL_S
    )


async def recent(history: History, **request: Any) -> Any:
    return await history.stub.ListRecentComments(
        ListRecentCommentsRequest(**{"stream_id": "demo", **request}), timeout=CALL_S
    )


async def exported(history: History, request: ExportCommentsRequest) -> list[Comment]:
    chunks = history.stub.ExportComments(request, timeout=CALL_S, metadata=history.metadata)
    return [item async for chunk in chunks for item in chunk.comments]


async def test_before_anything_is_written_the_cursor_stands_before_the_logs_first_message(
    history: History, shard: Shard
) -> None:
    for answer in (await list_(history), await recent(history)):
        assert answer.through_cursor == f"{shard.epoch}-0"
        assert not answer.comments
        assert not answer.next_page_token


@pytest.fixture
async def timeline(history: History, js: JetStreamContext, shard: Shard) -> list[Comment]:
    """Written: 120 comments, many of them at one moment, in messages of several sizes, some deleted since."""
    comments = [comment(offset // 7 * 40) for offset in range(120)]
    start, size = 0, 1
    while start < len(comments):
        await publish(js, shard, posted(*comments[start : start + size]))
        start, size = start + size, size % 9 + 1
    for gone in comments[3::17]:
        seq = await publish(js, shard, deleted(gone.comment_id))
    await history.written(seq)
    return [item for item in comments if item not in comments[3::17]]


@given(start=st.integers(0, 800), duration=st.integers(1, 3_600_000), page_size=st.integers(0, 40))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_windows_in_any_page_size_yield_each_comment_once_in_the_logs_order(
    history: History, timeline: list[Comment], start: int, duration: int, page_size: int
) -> None:
    found = await history.all_of(page_size=page_size, start=start, duration=duration)
    assert found == [item for item in timeline if start <= item.offset_ms < start + duration]


async def test_recent_pages_go_back_in_time_and_none_is_affected_by_comments_that_come_meanwhile(
    history: History, timeline: list[Comment], js: JetStreamContext, shard: Shard
) -> None:
    answer = await recent(history, page_size=13)
    assert list(answer.comments) == timeline[-13:]
    pages = [list(answer.comments)]
    while answer.next_page_token:
        await history.written(await publish(js, shard, posted(comment(90_000))))
        answer = await recent(history, page_size=13, page_token=answer.next_page_token)
        pages.insert(0, list(answer.comments))
    assert [item for page in pages for item in page] == timeline


async def test_a_comment_is_found_by_its_id_until_it_is_deleted(
    history: History, js: JetStreamContext, shard: Shard
) -> None:
    twins = [comment(77), comment(77)]
    await history.written(await publish(js, shard, posted(*twins)))
    request = GetCommentRequest(stream_id="demo", comment_id=twins[1].comment_id)
    assert (await history.stub.GetComment(request, timeout=CALL_S)).comment == twins[1]
    await history.written(await publish(js, shard, deleted(twins[1].comment_id)))
    assert (await refusal_of(history.stub.GetComment(request, timeout=CALL_S))).reason is Reason.COMMENT_NOT_FOUND
    request.comment_id = comment_id_at(1)
    assert (await refusal_of(history.stub.GetComment(request, timeout=CALL_S))).reason is Reason.COMMENT_NOT_FOUND


async def test_an_answer_is_complete_once_the_end_is_stored_and_not_before(
    history: History, js: JetStreamContext, shard: Shard
) -> None:
    last = comment(10)
    await history.written(await publish(js, shard, posted(last)))
    assert not (await list_(history)).complete
    await history.written(await publish(js, shard, ended(20)))
    answer = await list_(history)
    assert answer.complete
    assert list(answer.comments) == [last]


async def test_an_export_holds_everything_in_order_in_chunks(
    history: History, js: JetStreamContext, shard: Shard
) -> None:
    comments = [comment(offset) for offset in range(1_200)]
    for start in range(0, len(comments), 400):
        seq = await publish(js, shard, posted(*comments[start : start + 400]))
    await history.written(seq)
    assert await exported(history, ExportCommentsRequest(stream_id="demo")) == comments
    sizes = [
        len(chunk.comments)
        async for chunk in history.stub.ExportComments(ExportCommentsRequest(stream_id="demo"), timeout=CALL_S)
    ]
    assert sizes == [500, 500, 200]


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("ListComments", ListCommentsRequest(duration_ms=1), "stream_id"),
        ("ListComments", ListCommentsRequest(stream_id="a b", duration_ms=1), "stream_id"),
        ("ListComments", ListCommentsRequest(stream_id="x" * 65, duration_ms=1), "stream_id"),
        ("ListComments", ListCommentsRequest(stream_id="demo", duration_ms=1, start_offset_ms=-1), "start_offset_ms"),
        (
            "ListComments",
            ListCommentsRequest(stream_id="demo", duration_ms=1, start_offset_ms=2**62),
            "start_offset_ms",
        ),
        ("ListComments", ListCommentsRequest(stream_id="demo"), "duration_ms"),
        ("ListComments", ListCommentsRequest(stream_id="demo", duration_ms=3_600_001), "duration_ms"),
        ("ListComments", ListCommentsRequest(stream_id="demo", duration_ms=1, page_size=1_001), "page_size"),
        ("ListComments", ListCommentsRequest(stream_id="demo", duration_ms=1, page_size=-1), "page_size"),
        ("ListRecentComments", ListRecentCommentsRequest(stream_id="demo", page_size=201), "page_size"),
        ("ListRecentComments", ListRecentCommentsRequest(stream_id="d.e"), "stream_id"),
        ("GetComment", GetCommentRequest(stream_id="demo", comment_id="7"), "comment_id"),
        ("GetComment", GetCommentRequest(stream_id="demo", comment_id="0197" * 8), "comment_id"),
        ("GetComment", GetCommentRequest(stream_id="*", comment_id=comment_id_at(1)), "stream_id"),
    ],
)
async def test_a_bad_argument_is_named(history: History, method: str, request_: Any, field: str) -> None:
    refusal = await refusal_of(history.call(method, request_))
    assert refusal.reason is Reason.INVALID_FIELD
    assert [error.field for error in refusal.fields] == [field]


async def test_a_page_token_counts_only_with_the_arguments_it_was_given_for(
    history: History, timeline: list[Comment]
) -> None:
    window = (await list_(history, duration_ms=900, page_size=5)).next_page_token
    back = (await recent(history, page_size=5)).next_page_token
    assert window
    assert back
    assert (await list_(history, duration_ms=900, page_size=9, page_token=window)).comments[0] == timeline[5]
    for call in (
        list_(history, duration_ms=901, page_token=window),
        list_(history, duration_ms=900, start_offset_ms=1, page_token=window),
        list_(history, duration_ms=900, page_token=back),
        list_(history, duration_ms=900, page_token="nonsense"),
        recent(history, page_token=window),
    ):
        assert (await refusal_of(call)).reason is Reason.BAD_PAGE_TOKEN


async def test_there_is_no_history_of_an_unknown_stream(history: History) -> None:
    assert (await refusal_of(list_(history, stream_id="nowhere"))).reason is Reason.STREAM_NOT_FOUND
    assert (await refusal_of(recent(history, stream_id="nowhere"))).reason is Reason.STREAM_NOT_FOUND


async def test_a_private_stream_is_read_by_those_alone_whose_token_names_it(
    storage: Service, client: Client, js: JetStreamContext, shard: Shard, settings: Settings
) -> None:
    await create_stream(client, "secret", STREAM_VISIBILITY_PRIVATE, host_id="host")
    kept = comment(1, "secret")
    seq = await publish(js, shard, posted(kept), "secret")
    requests = {
        "ListComments": ListCommentsRequest(stream_id="secret", duration_ms=1_000),
        "ListRecentComments": ListRecentCommentsRequest(stream_id="secret"),
        "GetComment": GetCommentRequest(stream_id="secret", comment_id=kept.comment_id),
    }
    export = ExportCommentsRequest(stream_id="secret")
    service = (SERVICE_TOKEN_KEY, settings.service_token())
    stranger = as_user(settings, "eve", streams=("demo",))
    refused = {
        (): Reason.UNAUTHENTICATED,
        (stranger,): Reason.FORBIDDEN,
        (as_user(settings, "other", "host"),): Reason.FORBIDDEN,
        # The edge passing a user's token on acts as that user.
        (stranger, service): Reason.FORBIDDEN,
    }
    admitted = (
        as_user(settings, "ann", streams=("secret",)),
        as_user(settings, "host", "host"),
        service,
    )
    async with history_of(storage.address, service) as history:
        await history.written(seq, "secret")
    for metadata, reason in refused.items():
        async with history_of(storage.address, *metadata) as history:
            for method, request in requests.items():
                assert (await refusal_of(history.call(method, request))).reason is reason
            assert (await refusal_of(exported(history, export))).reason is reason
    for credential in admitted:
        async with history_of(storage.address, credential) as history:
            assert list((await history.call("ListComments", requests["ListComments"])).comments) == [kept]
            assert (await history.call("GetComment", requests["GetComment"])).comment == kept
            assert list((await history.call("ListRecentComments", requests["ListRecentComments"])).comments) == [kept]
            assert await exported(history, export) == [kept]


async def test_a_storage_that_is_told_to_stop_ends_cleanly(storage: Service, history: History) -> None:
    await list_(history)
    assert storage.stop() == 0
