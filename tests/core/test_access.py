"""Who may call what, at a real core."""

import pytest

from livecomments.errors import Reason
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1 import stream_service_pb2 as ss
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE, Stream
from tests.core.client import CoreClient, refused

pytestmark = pytest.mark.anyio


async def test_a_post_needs_a_valid_token(core: CoreClient) -> None:
    stream = await core.create()
    for metadata in [
        (),
        (("authorization", "Bearer nonsense"),),
        (("authorization", "Basic abc"),),
        core.user("ann", ttl_s=-10),
        core.service,
    ]:
        async with refused(Reason.UNAUTHENTICATED):
            await core.post(stream.stream_id, by=metadata)
    assert await core.logged(stream.stream_id) == []


async def test_only_services_ingest(core: CoreClient) -> None:
    stream = await core.create()
    for metadata, reason in [
        ((), Reason.UNAUTHENTICATED),
        (core.user("ann"), Reason.FORBIDDEN),
        (core.host, Reason.FORBIDDEN),
        ((("x-livecomments-service-token", "x" * 64),), Reason.UNAUTHENTICATED),
    ]:
        # Nothing is sent: grpc.aio calls it an internal error when a message meets the refusal on its way.
        async with refused(reason):
            await core.comments.IngestComments(metadata=metadata, timeout=10).read()
    assert await core.logged(stream.stream_id) == []


async def test_a_user_posts_as_nobody_else(core: CoreClient) -> None:
    """There is no field to name another author in; a service's token beside it changes nothing."""
    stream = await core.create()
    answer = await core.post(stream.stream_id, by=core.user("ann") + core.service)
    assert answer.comment.author_id == "ann"


async def test_only_hosts_create_streams(core: CoreClient) -> None:
    request = ss.CreateStreamRequest(title="T")
    for metadata in (core.user("ann"), core.user("mo", "moderator", "x")):
        async with refused(Reason.FORBIDDEN):
            await core.streams.CreateStream(request, metadata=metadata, timeout=10)
    for metadata in ((), core.service):
        async with refused(Reason.UNAUTHENTICATED):
            await core.streams.CreateStream(request, metadata=metadata, timeout=10)


async def test_only_those_who_rule_a_stream_change_it(core: CoreClient) -> None:
    stream = await core.create()
    posted = await core.post(stream.stream_id, by=core.user("bob"))
    stream_id, comment_id = stream.stream_id, posted.comment.comment_id
    calls = [
        (core.streams.EndStream, ss.EndStreamRequest(stream_id=stream_id)),
        (core.streams.UpdateStream, _update(stream_id)),
        (core.comments.PinComment, cs.PinCommentRequest(stream_id=stream_id, comment_id=comment_id)),
        (core.comments.UnpinComment, cs.UnpinCommentRequest(stream_id=stream_id)),
        (core.comments.DeleteComment, cs.DeleteCommentRequest(stream_id=stream_id, comment_id=comment_id)),
        (core.comments.BanUser, cs.BanUserRequest(stream_id=stream_id, user_id="bob")),
        (core.comments.UnbanUser, cs.UnbanUserRequest(stream_id=stream_id, user_id="bob")),
    ]
    for method, request in calls:
        for metadata in (core.user("ann"), core.user("other", "host"), core.user("mo", "moderator", "elsewhere")):
            async with refused(Reason.FORBIDDEN):
                await method(request, metadata=metadata, timeout=10)  # type: ignore[operator]
        async with refused(Reason.UNAUTHENTICATED):
            await method(request, timeout=10)  # type: ignore[operator]
    assert await core.logged_kinds(stream_id) == ["posted"]


async def test_a_private_stream_is_shown_to_those_who_may_watch(core: CoreClient) -> None:
    stream = await core.create(visibility=STREAM_VISIBILITY_PRIVATE)
    request = ss.GetStreamRequest(stream_id=stream.stream_id)
    async with refused(Reason.UNAUTHENTICATED):
        await core.streams.GetStream(request, timeout=10)
    async with refused(Reason.FORBIDDEN):
        await core.streams.GetStream(request, metadata=core.user("ann"), timeout=10)
    for metadata in (core.user("ann", "viewer", stream.stream_id), core.host, core.service):
        assert (await core.streams.GetStream(request, metadata=metadata, timeout=10)).stream == stream
    listed = ss.ListStreamsRequest(page_size=500)
    everyone = await core.streams.ListStreams(listed, timeout=10)
    named = await core.streams.ListStreams(listed, metadata=core.user("a", "viewer", stream.stream_id), timeout=10)
    assert stream not in everyone.streams
    assert stream in named.streams


def _update(stream_id: str) -> ss.UpdateStreamRequest:
    request = ss.UpdateStreamRequest(stream=Stream(stream_id=stream_id, title="New"))
    request.update_mask.paths.append("title")
    return request


async def test_a_service_rules_every_stream_by_itself_and_not_for_a_user(core: CoreClient) -> None:
    stream = await core.create(visibility=STREAM_VISIBILITY_PRIVATE)
    posted = await core.post(stream.stream_id, by=core.host)
    stream_id, comment_id = stream.stream_id, posted.comment.comment_id
    calls = [
        (core.comments.PinComment, cs.PinCommentRequest(stream_id=stream_id, comment_id=comment_id)),
        (core.comments.UnpinComment, cs.UnpinCommentRequest(stream_id=stream_id)),
        (core.comments.BanUser, cs.BanUserRequest(stream_id=stream_id, user_id="bob")),
        (core.comments.UnbanUser, cs.UnbanUserRequest(stream_id=stream_id, user_id="bob")),
        (core.comments.DeleteComment, cs.DeleteCommentRequest(stream_id=stream_id, comment_id=comment_id)),
    ]
    for method, request in calls:
        async with refused(Reason.FORBIDDEN):
            await method(request, metadata=core.user("ann") + core.service, timeout=10)  # type: ignore[operator]
        await method(request, metadata=core.service, timeout=10)  # type: ignore[operator]
    assert await core.logged_kinds(stream_id) == ["posted", "pinned", "unpinned", "deleted"]
