"""Posting to a real core with a real nats-server."""

import asyncio

import pytest

from core.ids import posted_at_of
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE
from tests.core.client import CoreClient, refused

pytestmark = pytest.mark.anyio


async def test_a_posted_comment_stands_in_the_log_where_its_cursor_says(core: CoreClient) -> None:
    stream = await core.create()
    answer = await core.post(stream.stream_id, " Grüße!\n", key="k", lag_ms=1_500, meta_json='{"a": 1}')
    comment = answer.comment
    ((seq, batch),) = await core.logged(stream.stream_id)
    assert Cursor.parse(answer.cursor).seq == seq
    assert batch.events[0].posted.comment == comment
    assert batch.events[0].posted.request_digest != 0
    assert (comment.text, comment.author_id, comment.author_name) == ("Grüße!", "ann", "ann's name")
    assert (comment.lag_ms, comment.meta_json) == (1_500, '{"a": 1}')
    assert posted_at_of(comment.comment_id) == comment.posted_at_ms
    assert comment.offset_ms == comment.posted_at_ms - stream.started_at_ms >= 0


async def test_what_comes_together_is_committed_together_and_in_order(core: CoreClient) -> None:
    stream = await core.create()
    async with core.ingest() as ingest:
        items = [ingest.item(stream.stream_id, f"text {number}", f"user{number}") for number in range(400)]
        answers = await ingest.answers(items)
    assert all(answer.HasField("posted") for answer in answers)
    logged = await core.logged(stream.stream_id)
    assert len(logged) < 40, "group commit: far fewer messages than comments"
    assert [event.posted.comment.text for _, batch in logged for event in batch.events] == [
        item.post.text for item in items
    ]
    for seq, batch in logged:
        for event in batch.events:
            answer = answers[int(event.posted.comment.text.split()[1])]
            assert answer.posted.comment == event.posted.comment
            assert Cursor.parse(answer.posted.cursor).seq == seq
    ids = [event.posted.comment.comment_id for _, batch in logged for event in batch.events]
    assert ids == sorted(set(ids))


async def test_a_repetition_gets_the_first_answer(core: CoreClient) -> None:
    stream = await core.create()
    first = await core.post(stream.stream_id, "once", key="k")
    assert await core.post(stream.stream_id, "once", key="k") == first
    other = await core.post(stream.stream_id, "once", key="k", by=core.user("bob"))
    assert other.comment.comment_id != first.comment.comment_id, "a key is its author's own"
    assert len(await core.logged_comments(stream.stream_id)) == 2


async def test_repetitions_in_flight_together_get_one_answer(core: CoreClient) -> None:
    stream = await core.create()
    answers = await asyncio.gather(*(core.post(stream.stream_id, "once", key="k") for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert len(await core.logged_comments(stream.stream_id)) == 1


async def test_posts_without_a_key_are_all_kept(core: CoreClient) -> None:
    stream = await core.create()
    await core.post(stream.stream_id, "again")
    await core.post(stream.stream_id, "again")
    assert len(await core.logged_comments(stream.stream_id)) == 2


async def test_a_key_with_another_text_is_refused(core: CoreClient) -> None:
    stream = await core.create()
    await core.post(stream.stream_id, "one", key="k")
    async with refused(Reason.KEY_REUSED):
        await core.post(stream.stream_id, "two", key="k")


async def test_a_refusal_is_not_remembered(core: CoreClient) -> None:
    stream = await core.create()
    async with refused(Reason.INVALID_FIELD, "text"):
        await core.post(stream.stream_id, "x" * 501, key="k")
    await core.post(stream.stream_id, "short", key="k")


async def test_who_posts_too_often_is_told_when_to_come_back(core: CoreClient) -> None:
    stream = await core.create()
    for _ in range(10):
        await core.post(stream.stream_id)
    async with refused(Reason.USER_RATE) as caught:
        # The bucket may have refilled by one meanwhile.
        for _ in range(3):
            await core.post(stream.stream_id)
    assert 0 < caught[0].retry_after_ms <= 1_000
    assert caught[0].rate_limit is not None
    assert (caught[0].rate_limit.policy, caught[0].rate_limit.quota, caught[0].rate_limit.window_s) == ("user", 10, 10)
    await core.post(stream.stream_id, by=core.user("bob"))
    for _ in range(15):
        await core.post(stream.stream_id, by=core.host)


async def test_slow_mode_lets_one_comment_through(core: CoreClient) -> None:
    stream = await core.create(slow_mode_s=60)
    await core.post(stream.stream_id)
    async with refused(Reason.SLOW_MODE) as caught:
        await core.post(stream.stream_id)
    assert 50_000 < caught[0].retry_after_ms <= 60_000
    moderator = core.user("mo", "moderator", stream.stream_id)
    await core.post(stream.stream_id, by=moderator)
    await core.post(stream.stream_id, by=moderator)


async def test_a_moderator_of_another_stream_is_a_viewer_here(core: CoreClient) -> None:
    stream = await core.create(slow_mode_s=60)
    moderator = core.user("mo", "moderator", "elsewhere")
    await core.post(stream.stream_id, by=moderator)
    async with refused(Reason.SLOW_MODE):
        await core.post(stream.stream_id, by=moderator)


async def test_bad_input_names_its_field_and_changes_nothing(core: CoreClient) -> None:
    stream = await core.create()
    for field, value in {"text": "a\x00b", "lag_ms": -1, "request_id": "a\nb", "meta_json": "[]"}.items():
        request = cs.PostCommentRequest(**{"stream_id": stream.stream_id, "text": "hello", field: value})  # type: ignore[arg-type]
        async with refused(Reason.INVALID_FIELD, field):
            await core.comments.PostComment(request, metadata=core.user("ann"), timeout=10)
    async with refused(Reason.INVALID_FIELD, "stream_id"):
        await core.post("a.b")
    async with refused(Reason.STREAM_NOT_FOUND):
        await core.post("nowhere")
    assert await core.logged(stream.stream_id) == []


async def test_a_bad_item_harms_no_other(core: CoreClient) -> None:
    stream = await core.create()
    async with core.ingest() as ingest:
        answers = await ingest.answers(
            [
                ingest.item(stream.stream_id, "good", "ann"),
                ingest.item(stream.stream_id, "", "ann"),
                ingest.item("nowhere", "x", "ann"),
                ingest.item("a.b", "x", "ann"),
                ingest.item(stream.stream_id, "x", ""),
                ingest.item(stream.stream_id, "x" * 501, "ann"),
                ingest.item(stream.stream_id, "good, too", "bob"),
            ]
        )
        assert [(answer.problem.reason, answer.problem.field) for answer in answers] == [
            ("", ""),
            ("INVALID_FIELD", "text"),
            ("STREAM_NOT_FOUND", ""),
            ("INVALID_FIELD", "stream_id"),
            ("INVALID_FIELD", "author_id"),
            ("INVALID_FIELD", "text"),
            ("", ""),
        ]
        (again,) = await ingest.answers([ingest.item(stream.stream_id, "and more", "cem")])
        assert again.HasField("posted")
    assert len(await core.logged_comments(stream.stream_id)) == 3


async def test_an_items_author_is_the_comments_author_and_its_role_counts(core: CoreClient) -> None:
    stream = await core.create(slow_mode_s=60)
    async with core.ingest() as ingest:
        items = [
            ingest.item(stream.stream_id, "1", "ann", author_name="Ann"),
            ingest.item(stream.stream_id, "2", "ann", author_name="Ann"),
            ingest.item(stream.stream_id, "3", "mo", role=cs.ROLE_MODERATOR, is_member=True),
            ingest.item(stream.stream_id, "4", "mo", role=cs.ROLE_MODERATOR, is_member=True),
            ingest.item(stream.stream_id, "5", "other", role=cs.ROLE_MODERATOR),
            ingest.item(stream.stream_id, "6", "other", role=cs.ROLE_HOST),
        ]
        answers = await ingest.answers(items)
    assert answers[0].posted.comment.author_name == "Ann"
    problem = answers[1].problem
    assert Refusal.from_problem(problem).reason is Reason.SLOW_MODE
    assert (problem.rate_limit.policy, problem.rate_limit.quota, problem.rate_limit.window_s) == ("slow_mode", 1, 60)
    assert [answer.posted.comment.author_name for answer in answers[2:5]] == ["mo", "mo", "other"]
    assert answers[5].problem.reason == Reason.SLOW_MODE, "a host of another stream is a viewer here"


async def test_a_finished_call_gets_all_its_answers(core: CoreClient) -> None:
    stream = await core.create()
    call = core.comments.IngestComments(metadata=core.service)
    async with core.ingest() as ingest:
        items = [ingest.item(stream.stream_id, "x", f"user{number}") for number in range(50)]
    await call.write(cs.IngestCommentsRequest(items=items))
    await call.done_writing()
    tags = [result.tag async for response in call for result in response.results]
    assert sorted(tags) == [item.tag for item in items]


async def test_what_a_cancelled_call_brought_stays_committed(core: CoreClient) -> None:
    stream = await core.create()
    async with core.ingest() as ingest:
        await ingest.answers([ingest.item(stream.stream_id, "stays", key="k")])
    assert [comment.text for comment in await core.logged_comments(stream.stream_id)] == ["stays"]
    assert (await core.post(stream.stream_id, "stays", key="k")).comment.text == "stays"


async def test_an_end_is_exact_under_posting(core: CoreClient) -> None:
    """Everything accepted stands before the end, and nothing behind it."""
    stream = await core.create()
    async with core.ingest() as ingest:
        before = [ingest.item(stream.stream_id, "x", f"user{number}") for number in range(300)]
        behind = [ingest.item(stream.stream_id, "x", f"later{number}") for number in range(300)]
        _, answers, _ = await asyncio.gather(
            core.end(stream.stream_id),
            ingest.answers(before + behind),
            core.post(stream.stream_id, by=core.host),
            return_exceptions=True,
        )
        assert isinstance(answers, list)
        late = await ingest.answers([ingest.item(stream.stream_id, "x", "too late")])
    assert late[0].problem.reason == "STREAM_ENDED"
    assert {answer.problem.reason for answer in answers} <= {"", "STREAM_ENDED"}
    kinds = await core.logged_kinds(stream.stream_id)
    assert kinds.count("ended") == 1
    assert kinds[-1] == "ended"
    accepted = {answer.posted.comment.comment_id for answer in answers if answer.HasField("posted")}
    logged = {comment.comment_id for comment in await core.logged_comments(stream.stream_id)}
    assert accepted <= logged


async def test_a_repetition_is_answered_behind_the_end(core: CoreClient) -> None:
    stream = await core.create()
    first = await core.post(stream.stream_id, "in time", key="k")
    await core.end(stream.stream_id)
    assert await core.post(stream.stream_id, "in time", key="k") == first
    async with refused(Reason.STREAM_ENDED):
        await core.post(stream.stream_id, "too late", key="other")


async def test_who_may_not_watch_may_not_post(core: CoreClient) -> None:
    stream = await core.create(visibility=STREAM_VISIBILITY_PRIVATE)
    async with refused(Reason.FORBIDDEN):
        await core.post(stream.stream_id)
    await core.post(stream.stream_id, by=core.user("ann", "viewer", stream.stream_id))
