"""Two cores that both believe they own a stream, on one log."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from livecomments.cursor import Cursor
from livecomments.errors import Reason
from livecomments.v1 import comment_service_pb2 as cs
from livecomments.v1 import stream_service_pb2 as ss
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, Stream
from tests.core.client import CoreClient, Ingest, open_client, refused
from tests.core.waiting import until
from tests.processes import NatsServer, Service

pytestmark = pytest.mark.anyio

Pair = tuple[CoreClient, CoreClient]


@pytest.fixture(scope="module")
def second_core(standing_dir: Path, standing_nats: NatsServer) -> Iterator[Service]:
    with Service("core", standing_dir, "-second", nats_url=standing_nats.url) as service:
        yield service


@pytest.fixture
async def cores(core: CoreClient, second_core: Service, standing_dir: Path) -> AsyncIterator[Pair]:
    async with open_client(second_core, standing_dir) as second:
        yield core, second


async def both_own(cores: Pair) -> str:
    """A stream that each has posted to and holds a committer for."""
    one, two = cores
    stream = await one.create()
    await until(lambda: _finds(two, stream.stream_id), "the second core hears of the stream")
    await one.post(stream.stream_id, by=one.host)
    await two.post(stream.stream_id, by=one.host)
    return stream.stream_id


async def fenced(cores: Pair) -> float:
    """Appends that were refused so far because the other core had appended."""
    return sum([await core.metric("livecomments_core_fenced_total") for core in cores])


async def _finds(core: CoreClient, stream_id: str) -> bool:
    return bool((await core.get(stream_id)).stream_id)


async def test_a_retry_through_the_other_core_is_stored_once(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    for number in range(10):
        first, second = (one, two) if number % 2 else (two, one)
        answer = await first.post(stream_id, f"{number}", key=f"k{number}", by=one.host)
        assert await second.post(stream_id, f"{number}", key=f"k{number}", by=one.host) == answer
    assert len(await one.logged_comments(stream_id)) == 12


async def test_the_same_post_through_both_at_once_is_stored_once(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    for number in range(15):
        answers = await asyncio.gather(
            *(core.post(stream_id, f"{number}", key=f"k{number}", by=one.host) for core in (one, two))
        )
        assert answers[0] == answers[1]
    assert len(await one.logged_comments(stream_id)) == 17


async def test_many_posts_through_both_keep_one_order(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    before = await fenced(cores)
    async with one.ingest() as first, two.ingest() as second:

        async def post(ingest: Ingest, core: str) -> list[cs.IngestResult]:
            results = []
            for chunk in range(10):
                authors = [f"{core}-{chunk}-{number}" for number in range(20)]
                results += await ingest.answers([ingest.item(stream_id, "x", author, "k") for author in authors])
            return results

        answers = list(itertools.chain(*await asyncio.gather(post(first, "one"), post(second, "two"))))
    assert all(answer.HasField("posted") for answer in answers)
    logged = await one.logged_comments(stream_id)
    assert len(logged) == 402
    assert len({comment.comment_id for comment in logged}) == 402
    times = [comment.posted_at_ms for comment in logged]
    assert times == sorted(times), "one clock for both: it never falls"
    assert await fenced(cores) > before, "they did meet at the fence"
    assert {answer.posted.comment.comment_id for answer in answers} <= {comment.comment_id for comment in logged}


async def test_the_limit_of_a_user_counts_over_both(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    outcomes = await asyncio.gather(
        *(core.post(stream_id, by=core.user("ann")) for _ in range(20) for core in (one, two)), return_exceptions=True
    )
    taken = [outcome for outcome in outcomes if isinstance(outcome, cs.PostCommentResponse)]
    logged = [comment for comment in await one.logged_comments(stream_id) if comment.author_id == "ann"]
    assert len(taken) == len(logged)
    span_s = (logged[-1].posted_at_ms - logged[0].posted_at_ms) / 1000
    assert 10 <= len(logged) <= 10 + span_s


async def test_slow_mode_counts_over_both(cores: Pair) -> None:
    one, two = cores
    stream = await one.create(slow_mode_s=60)
    await until(lambda: _finds(two, stream.stream_id), "the second core hears of the stream")
    await two.post(stream.stream_id, by=one.host)
    await one.post(stream.stream_id)
    async with refused(Reason.SLOW_MODE):
        await two.post(stream.stream_id)


async def ban(core: CoreClient, stream_id: str, user: str) -> None:
    await core.comments.BanUser(cs.BanUserRequest(stream_id=stream_id, user_id=user), metadata=core.host)


async def bans(core: CoreClient, stream_id: str, user: str) -> bool:
    async with core.ingest() as ingest:
        (answer,) = await ingest.answers([ingest.item(stream_id, "x", user)])
    return answer.problem.reason == "BANNED"


async def test_a_retry_through_the_other_core_is_answered_although_it_would_be_refused_by_now(cores: Pair) -> None:
    """The second core has not heard of the first post, but of the ban."""
    one, two = cores
    stream_id = await both_own(cores)
    await ban(one, stream_id, "ann")
    await until(lambda: bans(two, stream_id, "ann"), "the second core knows of the ban")
    await one.comments.UnbanUser(cs.UnbanUserRequest(stream_id=stream_id, user_id="ann"), metadata=one.host)
    answer = await until(lambda: _taken(one, stream_id), "the first core knows that the ban is lifted")
    await ban(one, stream_id, "ann")
    await until(lambda: bans(one, stream_id, "ann"), "she is banned again")
    assert await two.post(stream_id, "once", key="k") == answer


async def _taken(core: CoreClient, stream_id: str) -> cs.PostCommentResponse | None:
    try:
        return await core.post(stream_id, "once", key="k")
    except grpc.aio.AioRpcError:
        return None


async def test_a_core_refuses_nothing_by_what_another_has_lifted(cores: Pair) -> None:
    one, two = cores
    stream = await one.create(slow_mode_s=60)
    await until(lambda: _finds(two, stream.stream_id), "the second core hears of the stream")
    await two.post(stream.stream_id)
    lifted = ss.UpdateStreamRequest(
        stream=Stream(stream_id=stream.stream_id, slow_mode_s=0), update_mask=FieldMask(paths=["slow_mode_s"])
    )
    await one.streams.UpdateStream(lifted, metadata=one.host)
    await two.post(stream.stream_id)


async def test_a_core_does_again_what_another_has_undone(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    comment = (await one.logged_comments(stream_id))[0]
    pinning = cs.PinCommentRequest(stream_id=stream_id, comment_id=comment.comment_id)
    await two.comments.PinComment(pinning, metadata=two.host)
    await one.comments.UnpinComment(cs.UnpinCommentRequest(stream_id=stream_id), metadata=one.host)
    await two.comments.PinComment(pinning, metadata=two.host)
    kinds = await one.logged_kinds(stream_id)
    assert [kind for kind in kinds if kind != "posted"] == ["pinned", "unpinned", "pinned"]


@pytest.mark.parametrize("accepted_before", [0, 1, 10, 40, 100, 300])
async def test_nothing_accepted_stands_behind_an_end_however_posts_and_ends_meet(
    cores: Pair, accepted_before: int
) -> None:
    """Both cores are posted to without a pause, and both are told to end the stream somewhere in the middle."""
    stream_id = await both_own(cores)
    accepted: list[str] = []
    enough = asyncio.Event()
    authors = itertools.count()

    async def post(core: CoreClient) -> None:
        async with core.ingest() as ingest:
            has_ended = False
            while not has_ended:
                if len(accepted) >= accepted_before:
                    enough.set()
                items = [ingest.item(stream_id, "x", f"user{next(authors)}") for _ in range(5)]
                for answer in await ingest.answers(items):
                    if answer.HasField("posted"):
                        assert not has_ended, "accepted behind a post that came too late"
                        accepted.append(answer.posted.comment.comment_id)
                    else:
                        assert answer.problem.reason == "STREAM_ENDED"
                        has_ended = True

    async def end(core: CoreClient) -> Stream:
        await enough.wait()
        return await core.end(stream_id)

    *_, first, second = await asyncio.gather(*map(post, cores), *map(end, cores))
    assert first == second
    kinds = await cores[0].logged_kinds(stream_id)
    assert kinds.index("ended") == len(kinds) - 1, "nothing stands behind it"
    logged = [comment.comment_id for comment in await cores[0].logged_comments(stream_id)]
    assert sorted(logged[2:]) == sorted(accepted), "all that was accepted, and nothing that was refused"


async def test_an_end_through_one_is_exact_for_the_other(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    async with two.ingest() as ingest:
        items = [ingest.item(stream_id, "x", f"user{number}") for number in range(200)]
        answers, ended = await asyncio.gather(ingest.answers(items), one.end(stream_id))
        (late,) = await ingest.answers([ingest.item(stream_id, "x", "late")])
    assert ended.state == STREAM_STATE_ENDED
    assert late.problem.reason == "STREAM_ENDED"
    assert {answer.problem.reason for answer in answers} <= {"", "STREAM_ENDED"}
    kinds = await one.logged_kinds(stream_id)
    assert kinds.count("ended") == 1
    assert kinds[-1] == "ended"
    posted = [answer for answer in answers if answer.HasField("posted")]
    assert len(posted) + 2 == kinds.count("posted")


async def test_both_end_it_and_it_ends_once(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    first, second = await asyncio.gather(one.end(stream_id), two.end(stream_id))
    assert first == second
    assert (await one.logged_kinds(stream_id)).count("ended") == 1


async def test_changes_through_both_leave_the_registry_as_the_log_says(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    comments = await one.logged_comments(stream_id)
    pins = [
        core.comments.PinComment(
            cs.PinCommentRequest(stream_id=stream_id, comment_id=comments[number % 2].comment_id), metadata=one.host
        )
        for number in range(10)
        for core in (one, two)
    ]
    await asyncio.gather(*pins)
    last = [batch.events[0] for _, batch in await one.logged(stream_id) if batch.events[0].HasField("pinned")][-1]
    for core in cores:

        async def agrees(core: CoreClient = core) -> bool:
            return (await core.get(stream_id)).pinned == last.pinned.comment

        await until(agrees, "the registry shows the last pin of the log")


async def test_a_ban_through_one_counts_at_the_other_within_a_second(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    await ban(one, stream_id, "ann")
    await until(lambda: bans(two, stream_id, "ann"), "the other core refuses her", timeout_s=1)


async def test_a_cursor_of_one_is_a_cursor_of_the_other(cores: Pair) -> None:
    one, two = cores
    stream_id = await both_own(cores)
    first = Cursor.parse((await one.post(stream_id, by=one.host)).cursor)
    second = Cursor.parse((await two.post(stream_id, by=one.host)).cursor)
    assert first.epoch == second.epoch
    assert first.seq < second.seq


async def test_a_core_decides_on_what_it_missed(cores: Pair) -> None:
    """The second core holds the stream and hears of none of this until it appends."""
    one, two = cores
    stream_id = await both_own(cores)
    answers = [await one.post(stream_id, f"{number}", key=f"k{number}", by=one.host) for number in range(50)]
    assert await two.post(stream_id, "7", key="k7", by=one.host) == answers[7]
    async with refused(Reason.KEY_REUSED):
        await two.post(stream_id, "other", key="k8", by=one.host)
    assert len(await one.logged_comments(stream_id)) == 52
