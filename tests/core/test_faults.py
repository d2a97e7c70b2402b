"""Kills, freezes and a full log: what a core's clients hear, and what the log holds afterwards."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from livecomments.errors import Reason
from livecomments.log import connect, open_log
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1.comment_pb2 import (
    STREAM_STATE_ENDED,
    Comment,
    CommentPinned,
    Event,
    EventBatch,
    Stream,
    StreamEnded,
)
from tests.core.client import CoreClient, Ingest, open_client, post_until_answered, refused, until_answered
from tests.core.waiting import until
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(own_core: Service, data_dir: Path) -> AsyncIterator[CoreClient]:
    async with open_client(own_core, data_dir) as client:
        yield client


async def restart(core: Service) -> None:
    core.kill()
    await asyncio.to_thread(core.start)


async def append(core: CoreClient, stream_id: str, event: Event) -> None:
    """As a core that died right behind it."""
    async with connect(core.settings, "dying core") as client:
        js = client.jetstream()
        subject = (await open_log(js, core.settings)).shard_of(stream_id).subject(stream_id)
        await js.publish(subject, EventBatch(events=[event]).SerializeToString())


async def purge(core: CoreClient) -> None:
    """Trims the log, as storage does once all is written and old."""
    async with connect(core.settings, "trimming") as client:
        js = client.jetstream()
        await js.purge_stream((await open_log(js, core.settings)).shards[0].name)


async def test_a_restarted_core_remembers(own_core: Service, client: CoreClient) -> None:
    """Requests, slow mode and the end are in the log, not in the process."""
    stream, over = await client.create(slow_mode_s=60), await client.create()
    first = await client.post(stream.stream_id, "once", key="k")
    await client.end(over.stream_id)
    await restart(own_core)
    assert await post_until_answered(client, stream.stream_id, "by the host", "h")
    assert await client.post(stream.stream_id, "once", key="k") == first
    async with refused(Reason.KEY_REUSED):
        await client.post(stream.stream_id, "other", key="k")
    async with refused(Reason.SLOW_MODE):
        await client.post(stream.stream_id, "another", key="k2")
    async with refused(Reason.STREAM_ENDED):
        await client.post(over.stream_id)
    assert len(await client.logged_comments(stream.stream_id)) == 2


async def test_a_core_killed_while_posting_loses_nothing_it_accepted(own_core: Service, client: CoreClient) -> None:
    stream = await client.create()
    accepted: dict[str, str] = {}

    async def post(number: int) -> None:
        answer = await post_until_answered(client, stream.stream_id, f"text {number}", f"k{number}")
        accepted[answer.comment.comment_id] = f"text {number}"

    posting = asyncio.gather(*(post(number) for number in range(60)))
    await until(lambda: _at_least(accepted, 1), "some are accepted")
    await restart(own_core)
    await posting
    logged = {comment.comment_id: comment.text for comment in await client.logged_comments(stream.stream_id)}
    assert logged == accepted


async def _at_least(accepted: dict[str, str], count: int) -> bool:
    return len(accepted) >= count


async def test_a_frozen_log_leaves_posts_in_doubt_and_the_retry_finds_the_one_comment(
    nats_server: NatsServer, client: CoreClient
) -> None:
    stream = await client.create()
    await client.post(stream.stream_id, "before", by=client.host)
    nats_server.signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        async with refused(Reason.NOT_CONFIRMED) as caught:
            await client.post(stream.stream_id, "in doubt", key="k", by=client.host)
        assert 1.5 < time.monotonic() - started < 4
        assert caught[0].retry_after_ms > 0
        async with refused(Reason.OVERLOADED):
            await client.post(stream.stream_id, "behind it", key="k2", by=client.host)
    finally:
        nats_server.signal(signal.SIGCONT)
    answer = await post_until_answered(client, stream.stream_id, "in doubt", "k")
    logged = await client.logged_comments(stream.stream_id)
    assert [comment.text for comment in logged] == ["before", "in doubt"]
    assert logged[1] == answer.comment
    assert await client.metric("livecomments_core_in_doubt_total") > 0
    assert await client.metric("livecomments_core_waiting_posts") == 0


async def test_an_append_in_doubt_knows_its_own_message(nats_server: NatsServer, client: CoreClient) -> None:
    """Repeated after the first try was stored all the same; without a key nothing else tells the two apart."""
    stream = await client.create()
    await client.post(stream.stream_id, "before", by=client.host)
    nats_server.signal(signal.SIGSTOP)
    try:
        posting = asyncio.ensure_future(client.post(stream.stream_id, "once", by=client.host))

        async def is_in_doubt() -> bool:
            return await client.metric("livecomments_core_in_doubt_total") > 0

        await until(is_in_doubt, "the first try has timed out")
    finally:
        nats_server.signal(signal.SIGCONT)
    answer = await posting
    logged = await client.logged_comments(stream.stream_id)
    assert [comment.text for comment in logged] == ["before", "once"]
    assert logged[1] == answer.comment


async def test_what_waits_behind_a_frozen_log_is_told_so_in_time(nats_server: NatsServer, client: CoreClient) -> None:
    stream = await client.create()
    await client.post(stream.stream_id, "before", by=client.host)
    async with client.ingest() as ingest:
        nats_server.signal(signal.SIGSTOP)
        try:
            started = time.monotonic()
            await ingest.send([ingest.item(stream.stream_id, "in flight", "ann")])
            # Sent apart, so that the first goes alone and these wait for it.
            waiting = [ingest.item(stream.stream_id, "waiting", f"user{number}") for number in range(100)]
            answers = await ingest.answers(waiting)
            assert time.monotonic() - started < 5
        finally:
            nats_server.signal(signal.SIGCONT)
    assert {answer.problem.reason for answer in answers} <= {"OVERLOADED", "NOT_CONFIRMED"}
    assert all(answer.problem.retry_after_ms for answer in answers)


async def test_a_restarted_log_loses_nothing_it_acknowledged(nats_server: NatsServer, client: CoreClient) -> None:
    stream = await client.create()
    accepted: dict[str, str] = {}

    async def post(number: int) -> None:
        answer = await post_until_answered(client, stream.stream_id, f"text {number}", f"k{number}")
        accepted[answer.comment.comment_id] = f"text {number}"

    posting = asyncio.gather(*(post(number) for number in range(60)))
    await until(lambda: _at_least(accepted, 1), "some are accepted")
    nats_server.kill()
    await asyncio.to_thread(nats_server.start)
    await posting
    logged = {comment.comment_id: comment.text for comment in await client.logged_comments(stream.stream_id)}
    assert logged == accepted


async def test_a_full_log_refuses_and_drops_nothing(data_dir: Path, nats_server: NatsServer) -> None:
    with Service("core", data_dir, nats_url=nats_server.url, log_bytes=str(1024 * 1024)) as service:
        async with open_client(service, data_dir) as client:
            stream = await client.create()
            accepted, size = [], 256
            async with client.ingest() as ingest:
                while size:
                    # Ever smaller batches, until not even a single short comment fits.
                    text = "x" * (500 if size > 1 else 100)
                    items = [ingest.item(stream.stream_id, text, f"user{number}") for number in range(size)]
                    answers = await ingest.answers(items)
                    accepted += [answer.posted.comment.comment_id for answer in answers if answer.HasField("posted")]
                    full = [answer.problem for answer in answers if "full" in answer.problem.detail]
                    assert {problem.reason for problem in full} <= {"OVERLOADED"}
                    size = size // 2 if full else size
            logged = [comment.comment_id for comment in await client.logged_comments(stream.stream_id)]
            assert [comment_id for comment_id in logged if comment_id in set(accepted)] == accepted
            async with refused(Reason.OVERLOADED):
                await client.post(stream.stream_id, "x" * 500, key="k", by=client.host)
            await purge(client)
            await client.post(stream.stream_id, "x" * 500, key="k", by=client.host)
            assert (await client.end(stream.stream_id)).state == STREAM_STATE_ENDED


async def test_an_end_that_the_registry_did_not_hear_of_is_repaired_at_the_next_start(
    own_core: Service, client: CoreClient
) -> None:
    ended, pinned, untouched = await client.create(), await client.create(), await client.create()
    comment = (await client.post(pinned.stream_id)).comment
    own_core.kill()
    await append(client, ended.stream_id, Event(ended=StreamEnded(ended_at_ms=ended.started_at_ms + 77)))
    await append(client, pinned.stream_id, Event(pinned=CommentPinned(comment=comment)))
    await asyncio.to_thread(own_core.start)

    async def is_repaired() -> bool:
        first, second = await _get(client, ended), await _get(client, pinned)
        return first.ended_at_ms == ended.started_at_ms + 77 and second.pinned == comment

    await until(is_repaired, "the registry says what the log says")
    assert (await _get(client, ended)).state == STREAM_STATE_ENDED
    assert await _get(client, untouched) == untouched


async def _get(client: CoreClient, stream: Stream) -> Stream:
    return await client.get(stream.stream_id)


async def test_an_announced_end_comes_although_the_core_was_restarted(own_core: Service, client: CoreClient) -> None:
    stream = await client.create()
    await client.end(stream.stream_id, notice_s=2)
    await restart(own_core)

    async def ended() -> bool:
        try:
            return (await client.get(stream.stream_id)).state == STREAM_STATE_ENDED
        except grpc.aio.AioRpcError:
            return False

    await until(ended, "the stream ends by itself")
    assert await client.logged_kinds(stream.stream_id) == ["ending", "ended"]


async def test_a_draining_core_takes_nothing_new_and_answers_what_it_has(own_core: Service, client: CoreClient) -> None:
    stream = await client.create()
    accepted: list[str] = []
    reasons: set[str] = set()
    async with client.ingest() as ingest:
        await ingest.answers([ingest.item(stream.stream_id, "first", "ann")])
        own_core.signal(signal.SIGTERM)
        number = 0
        while (answer := await _answer_or_end(ingest, ingest.item(stream.stream_id, "x", f"user{number}"))) is not None:
            number += 1
            if answer.HasField("posted"):
                assert not reasons, "taken after it had said that it drains"
                accepted.append(answer.posted.comment.comment_id)
            else:
                reasons.add(answer.problem.reason)
    assert reasons == {"DRAINING"}
    assert own_core.popen is not None
    assert await asyncio.to_thread(own_core.popen.wait, 10) == 0
    assert [comment.comment_id for comment in await client.logged_comments(stream.stream_id)][1:] == accepted
    own_core.popen = None


async def _answer_or_end(ingest: Ingest, item: cs.IngestItem) -> cs.IngestResult | None:
    try:
        await ingest.send([item])
        response = await ingest.call.read()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return None
    return response.results[0] if isinstance(response, cs.IngestCommentsResponse) else None


async def test_a_trimmed_log_goes_on(client: CoreClient) -> None:
    stream = await client.create()
    await client.post(stream.stream_id, "old", by=client.host)
    await purge(client)
    await client.post(stream.stream_id, "new", by=client.host)
    assert [comment.text for comment in await client.logged_comments(stream.stream_id)] == ["new"]


async def test_a_comment_older_than_the_log_is_deleted_by_the_host_and_else_not_found(client: CoreClient) -> None:
    stream = await client.create()
    comment = (await client.post(stream.stream_id)).comment
    await purge(client)
    request = cs.DeleteCommentRequest(stream_id=stream.stream_id, comment_id=comment.comment_id)
    async with refused(Reason.COMMENT_NOT_FOUND):
        await client.comments.DeleteComment(request, metadata=client.user("ann"), timeout=10)
    async with refused(Reason.COMMENT_NOT_FOUND):
        await _pin(client, comment)
    await client.comments.DeleteComment(request, metadata=client.host, timeout=10)
    assert await client.logged_kinds(stream.stream_id) == ["deleted"]


async def test_a_comment_older_than_the_log_is_found_in_the_store_that_answers(
    data_dir: Path, nats_server: NatsServer
) -> None:
    with (
        Service("storage", data_dir, "-frozen", nats_url=nats_server.url) as frozen,
        Service("storage", data_dir, nats_url=nats_server.url) as storage,
        Service(
            "core", data_dir, nats_url=nats_server.url, storage_urls=f"{frozen.address},{storage.address}"
        ) as service,
    ):
        async with open_client(service, data_dir) as client:
            stream = await client.create()
            comment = (await client.post(stream.stream_id)).comment

            async def is_stored() -> bool:
                async with connect(client.settings, "looking") as nats:
                    consumers = await nats.jetstream().consumers_info("COMMENTS_0")
                return any(not info.num_pending and not info.num_ack_pending for info in consumers)

            await until(is_stored, "storage has written it")
            await purge(client)
            frozen.signal(signal.SIGSTOP)
            assert await _pin(client, comment) == comment
            request = cs.DeleteCommentRequest(stream_id=stream.stream_id, comment_id=comment.comment_id)
            async with refused(Reason.FORBIDDEN):
                await client.comments.DeleteComment(request, metadata=client.user("bob"), timeout=10)
            delete = client.comments.DeleteComment
            await until_answered(lambda: delete(request, metadata=client.user("ann"), timeout=10), "it is deleted")
            storage.kill()
            async with refused(Reason.OVERLOADED):
                await client.comments.DeleteComment(request, metadata=client.user("ann"), timeout=10)


async def _pin(client: CoreClient, comment: Comment) -> Comment:
    request = cs.PinCommentRequest(stream_id=comment.stream_id, comment_id=comment.comment_id)
    pin = client.comments.PinComment
    return (await until_answered(lambda: pin(request, metadata=client.host, timeout=10), "it is pinned")).comment
