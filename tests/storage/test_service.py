"""HistoryService as its clients see it: one real storage process, a stream for each test."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from nats.aio.client import Client

from livecomments.errors import Reason
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.local import make_secrets
from livecomments.settings import Settings
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE, Comment
from livecomments.v1.history_service_pb2 import GetCommentRequest, ListCommentsRequest, ListRecentCommentsRequest
from tests.processes import NatsServer, Service
from tests.storage.broadcast import Broadcast, bearer, comment_id_at, on_air, refusal_of

pytestmark = pytest.mark.anyio


# One of each for all tests of this module.


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    make_secrets(folder)
    return folder


@pytest.fixture(scope="module")
def nats_server(data_dir: Path) -> Iterator[NatsServer]:
    with NatsServer(data_dir) as server:
        yield server


@pytest.fixture(scope="module")
def storage(nats_server: NatsServer, data_dir: Path) -> Iterator[Service]:
    with Service("storage", data_dir, nats_url=nats_server.url) as process:
        yield process


@pytest.fixture
async def timeline(broadcast: Broadcast) -> list[Comment]:
    """Written: 120 comments, many of them at one moment, in messages of several sizes, some deleted since."""
    comments = broadcast.comments(*(number // 7 * 40 for number in range(120)))
    start, size = 0, 1
    while start < len(comments):
        await broadcast.post(*comments[start : start + size])
        start, size = start + size, size % 9 + 1
    for gone in comments[3::17]:
        seq = await broadcast.delete(gone)
    await broadcast.written(seq)
    return [comment for comment in comments if comment not in comments[3::17]]


@given(start=st.integers(0, 800), duration=st.integers(1, 3_600_000), page_size=st.integers(0, 40))
@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_windows_in_any_page_size_yield_each_comment_once_in_the_logs_order(
    broadcast: Broadcast, timeline: list[Comment], start: int, duration: int, page_size: int
) -> None:
    found = await broadcast.replay(start_offset_ms=start, duration_ms=duration, page_size=page_size)
    assert found == [comment for comment in timeline if start <= comment.offset_ms < start + duration]


async def test_a_page_holds_no_more_than_asked_for_and_200_by_default(broadcast: Broadcast) -> None:
    await broadcast.written(await broadcast.post(*broadcast.comments(*range(300))))
    assert len((await broadcast.window()).comments) == 200
    assert len((await broadcast.window(page_size=7)).comments) == 7
    assert len((await broadcast.recent()).comments) == 100


async def test_a_next_page_is_offered_only_while_there_is_more_in_the_window(broadcast: Broadcast) -> None:
    await broadcast.written(await broadcast.post(*broadcast.comments(1, 2, 3)))
    assert not (await broadcast.window(page_size=3)).next_page_token
    assert not (await broadcast.window(page_size=2, duration_ms=3)).next_page_token
    assert (await broadcast.window(page_size=2)).next_page_token
    assert not (await broadcast.recent(page_size=3)).next_page_token
    assert (await broadcast.recent(page_size=2)).next_page_token


async def test_recent_pages_go_back_in_time_whatever_comes_meanwhile(
    broadcast: Broadcast, timeline: list[Comment]
) -> None:
    answer = await broadcast.recent(page_size=13)
    assert list(answer.comments) == timeline[-13:]
    found = list(answer.comments)
    while answer.next_page_token:
        await broadcast.written(await broadcast.post(*broadcast.comments(90_000)))
        answer = await broadcast.recent(page_size=13, page_token=answer.next_page_token)
        found = [*answer.comments, *found]
    assert found == timeline


async def test_a_comment_is_found_by_its_id_until_it_is_deleted(broadcast: Broadcast) -> None:
    twin, other = broadcast.comments(77, 77)
    await broadcast.written(await broadcast.post(twin, other))
    assert await broadcast.get(other.comment_id) == other
    await broadcast.written(await broadcast.delete(other))
    assert await broadcast.get(twin.comment_id) == twin
    assert (await refusal_of(broadcast.get(other.comment_id))).reason is Reason.COMMENT_NOT_FOUND
    assert (await refusal_of(broadcast.get(comment_id_at(1)))).reason is Reason.COMMENT_NOT_FOUND


async def test_an_answer_is_complete_once_the_end_is_stored_and_not_before(broadcast: Broadcast) -> None:
    comments = broadcast.comments(10)
    await broadcast.written(await broadcast.post(*comments))
    assert not (await broadcast.window()).complete
    await broadcast.written(await broadcast.end(20))
    answer = await broadcast.window()
    assert answer.complete
    assert list(answer.comments) == comments


async def test_through_cursor_never_runs_ahead_of_the_rows(broadcast: Broadcast) -> None:
    stored: list[tuple[int, str]] = []
    answers: list[tuple[int, set[str]]] = []

    async def commit() -> int:
        for comment in broadcast.comments(*range(250)):
            seq = await broadcast.post(comment)
            stored.append((seq, comment.comment_id))
        return seq

    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(commit())
        while not (committing.done() and answers and answers[-1][0] >= committing.result()):
            answer = await broadcast.window(page_size=1_000)
            through = int(answer.through_cursor.split("-")[1])
            answers.append((through, {comment.comment_id for comment in answer.comments}))
    assert len({through for through, _ in answers}) > 3
    for through, seen in answers:
        assert {comment_id for seq, comment_id in stored if seq <= through} <= seen


async def test_an_export_holds_everything_in_order_in_chunks(broadcast: Broadcast) -> None:
    comments = broadcast.comments(*range(1_200))
    for start in range(0, len(comments), 400):
        seq = await broadcast.post(*comments[start : start + 400])
    await broadcast.written(seq)
    chunks = await broadcast.export()
    assert [len(chunk) for chunk in chunks] == [500, 500, 200]
    assert [comment for chunk in chunks for comment in chunk] == comments


async def test_a_bad_argument_is_named_and_a_bad_page_token_refused(
    broadcast: Broadcast, timeline: list[Comment]
) -> None:
    refusal = await refusal_of(broadcast.window(duration_ms=0))
    assert (refusal.reason, [error.field for error in refusal.fields]) == (Reason.INVALID_FIELD, ["duration_ms"])
    refusal = await refusal_of(broadcast.get("7"))
    assert (refusal.reason, [error.field for error in refusal.fields]) == (Reason.INVALID_FIELD, ["comment_id"])
    token = (await broadcast.window(page_size=5)).next_page_token
    assert (await broadcast.window(page_size=9, page_token=token)).comments[0] == timeline[5]
    for call in (broadcast.window(duration_ms=900, page_token=token), broadcast.recent(page_token=token)):
        assert (await refusal_of(call)).reason is Reason.BAD_PAGE_TOKEN


async def test_there_is_no_history_of_an_unknown_stream(broadcast: Broadcast) -> None:
    broadcast.stream_id = "nowhere"
    for call in (broadcast.window(), broadcast.recent(), broadcast.get(comment_id_at(1)), broadcast.export()):
        assert (await refusal_of(call)).reason is Reason.STREAM_NOT_FOUND


async def test_a_private_stream_is_read_by_those_alone_whose_token_names_it(
    client: Client, settings: Settings, storage: Service
) -> None:
    service = (SERVICE_TOKEN_KEY, settings.service_token())
    stranger = bearer(settings, "eve", streams=("another",))
    async with on_air(client, settings, storage.address, STREAM_VISIBILITY_PRIVATE) as secret:
        (kept,) = secret.comments(1)
        secret.metadata = (service,)
        await secret.written(await secret.post(kept))
        for credentials in (
            (bearer(settings, "ann", streams=(secret.stream_id,)),),
            (bearer(settings, "host", "host"),),
            (service,),
        ):
            secret.metadata = credentials
            assert await secret.replay() == [kept]
            assert list((await secret.recent()).comments) == [kept]
            assert await secret.get(kept.comment_id) == kept
            assert await secret.export() == [[kept]]
        for refused, reason in (
            ((), Reason.UNAUTHENTICATED),
            ((stranger,), Reason.FORBIDDEN),
            ((bearer(settings, "other", "host"),), Reason.FORBIDDEN),
            ((bearer(settings, "mo", "moderator"),), Reason.FORBIDDEN),
            # The edge that passes a user's token on acts as that user.
            ((stranger, service), Reason.FORBIDDEN),
        ):
            secret.metadata = refused
            for call in (secret.window(), secret.recent(), secret.get(kept.comment_id), secret.export()):
                assert (await refusal_of(call)).reason is reason


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ListComments", ListCommentsRequest(stream_id="a b", duration_ms=1)),
        ("ListRecentComments", ListRecentCommentsRequest(stream_id="*")),
        ("GetComment", GetCommentRequest(stream_id="", comment_id=comment_id_at(1))),
    ],
)
async def test_a_bad_stream_id_is_named_before_any_stream_is_looked_for(
    broadcast: Broadcast, method: str, request_: ListCommentsRequest | ListRecentCommentsRequest | GetCommentRequest
) -> None:
    refusal = await refusal_of(broadcast.call(method, request_))
    assert (refusal.reason, [error.field for error in refusal.fields]) == (Reason.INVALID_FIELD, ["stream_id"])
