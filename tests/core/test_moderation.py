"""Deleting, pinning and banning, at a real core."""

import pytest

from core.ids import CommentIds
from livecomments.errors import Reason
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1.comment_pb2 import Comment, Stream
from tests.core.client import CoreClient, Metadata, refused

pytestmark = pytest.mark.anyio


async def delete(core: CoreClient, stream: Stream, comment_id: str, by: Metadata) -> None:
    request = cs.DeleteCommentRequest(stream_id=stream.stream_id, comment_id=comment_id)
    await core.comments.DeleteComment(request, metadata=by, timeout=10)


async def pin(core: CoreClient, stream: Stream, comment_id: str) -> Comment:
    request = cs.PinCommentRequest(stream_id=stream.stream_id, comment_id=comment_id)
    return (await core.comments.PinComment(request, metadata=core.host, timeout=10)).comment


async def test_host_moderator_and_author_delete_a_comment(core: CoreClient) -> None:
    stream = await core.create()
    for by in (core.host, core.user("mo", "moderator", stream.stream_id), core.user("ann")):
        comment = (await core.post(stream.stream_id)).comment
        await delete(core, stream, comment.comment_id, by)
        _, batch = (await core.logged(stream.stream_id))[-1]
        assert batch.events[0].deleted.comment_id == comment.comment_id
        assert len(batch.events) == 1


async def test_nobody_deletes_anothers_comment(core: CoreClient) -> None:
    stream = await core.create()
    comment = (await core.post(stream.stream_id)).comment
    async with refused(Reason.FORBIDDEN):
        await delete(core, stream, comment.comment_id, core.user("bob"))
    assert await core.logged_kinds(stream.stream_id) == ["posted"]


async def test_deleting_twice_is_one_event(core: CoreClient) -> None:
    stream = await core.create()
    comment = (await core.post(stream.stream_id)).comment
    for _ in range(2):
        await delete(core, stream, comment.comment_id, core.host)
    assert await core.logged_kinds(stream.stream_id) == ["posted", "deleted"]


async def test_a_comment_is_found_among_many(core: CoreClient) -> None:
    """Several messages, several streams in the shard, events without a time between them."""
    stream, other = await core.create(), await core.create()
    comments = []
    for number in range(12):
        comments.append((await core.post(stream.stream_id, f"{number}", by=core.host)).comment)
        await core.post(other.stream_id, f"{number}", by=core.host)
        if number % 3 == 0:
            await pin(core, stream, comments[-1].comment_id)
    async with core.ingest() as ingest:
        items = [ingest.item(stream.stream_id, f"{number}", f"user{number}") for number in range(60)]
        comments += [answer.posted.comment for answer in await ingest.answers(items)]
    for comment in comments[::7]:
        assert await pin(core, stream, comment.comment_id) == comment
        async with refused(Reason.COMMENT_NOT_FOUND):
            await pin(core, other, comment.comment_id)


async def test_what_was_never_posted_is_not_found(core: CoreClient) -> None:
    stream = await core.create()
    posted = await core.post(stream.stream_id)
    ids = CommentIds()
    for at_ms in (stream.started_at_ms - 1, posted.comment.posted_at_ms, posted.comment.posted_at_ms + 3_600_000):
        for by in (core.host, core.user("ann")):
            async with refused(Reason.COMMENT_NOT_FOUND):
                await delete(core, stream, ids.next(at_ms), by)
    for bad in ("", "x", "6f1c5c3e-0a3b-4b7e-8f6e-0123456789ab"):
        async with refused(Reason.INVALID_FIELD, "comment_id"):
            await delete(core, stream, bad, core.host)
    assert await core.logged_kinds(stream.stream_id) == ["posted"]


async def test_one_comment_is_pinned_at_a_time(core: CoreClient) -> None:
    stream = await core.create()
    first = (await core.post(stream.stream_id, "one")).comment
    second = (await core.post(stream.stream_id, "two")).comment
    for comment in (first, second, second):
        assert await pin(core, stream, comment.comment_id) == comment
        assert (await core.get(stream.stream_id)).pinned == comment
    for _ in range(2):
        await core.comments.UnpinComment(cs.UnpinCommentRequest(stream_id=stream.stream_id), metadata=core.host)
        assert not (await core.get(stream.stream_id)).HasField("pinned")
    assert (await core.logged_kinds(stream.stream_id))[2:] == ["pinned", "pinned", "unpinned"]


async def test_deleting_the_pinned_comment_unpins_it(core: CoreClient) -> None:
    stream = await core.create()
    comment = (await core.post(stream.stream_id)).comment
    await pin(core, stream, comment.comment_id)
    await delete(core, stream, comment.comment_id, core.host)
    assert not (await core.get(stream.stream_id)).HasField("pinned")
    assert await core.logged_kinds(stream.stream_id) == ["posted", "pinned", "unpinned", "deleted"]
    async with refused(Reason.COMMENT_NOT_FOUND):
        await pin(core, stream, comment.comment_id)


async def test_the_banned_can_not_post_until_the_ban_is_lifted(core: CoreClient) -> None:
    stream, other = await core.create(), await core.create()
    user_id = "böse nutzerin.*>"
    await core.comments.BanUser(cs.BanUserRequest(stream_id=stream.stream_id, user_id=user_id), metadata=core.host)
    async with refused(Reason.BANNED):
        await core.post(stream.stream_id, by=core.user(user_id))
    await core.post(other.stream_id, by=core.user(user_id))
    await core.post(stream.stream_id, by=core.user("ann"))
    for _ in range(2):
        request = cs.UnbanUserRequest(stream_id=stream.stream_id, user_id=user_id)
        await core.comments.UnbanUser(request, metadata=core.host)
    await core.post(stream.stream_id, by=core.user(user_id))
    async with refused(Reason.INVALID_FIELD, "user_id"):
        await core.comments.BanUser(cs.BanUserRequest(stream_id=stream.stream_id), metadata=core.host)
