"""Posts that wait for their core: bounds, times, and the core's loss. Without a core."""

import pytest
import trio
import trio.testing

from edge.posting import Posts
from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as pb


def item(stream_id: str = "a") -> pb.IngestItem:
    return pb.IngestItem(post=pb.PostCommentRequest(stream_id=stream_id))


def refuse_more(posts: Posts, stream_id: str) -> None:
    with pytest.raises(Refusal) as raised:
        posts.post(item(stream_id), lambda _: pytest.fail("it was refused"))
    assert raised.value.reason is Reason.OVERLOADED


def test_one_stream_leaves_the_others_half_of_the_room() -> None:
    posts = Posts(10, 2.0)
    for _ in range(5):
        posts.post(item("hung"), lambda _: None)
    refuse_more(posts, "hung")
    for number in range(5):
        posts.post(item(f"other-{number}"), lambda _: None)
    refuse_more(posts, "another")


def test_whose_time_is_up_hears_so_and_leaves_its_room() -> None:
    posts = Posts(2, 0.0)
    heard: list[object] = []
    posts.post(item(), heard.append)
    refuse_more(posts, "a")

    async def expire_for_a_second() -> None:
        with trio.move_on_after(1):
            await posts.expire()

    trio.run(expire_for_a_second, clock=trio.testing.MockClock(autojump_threshold=0))
    (refusal,) = heard
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.OVERLOADED, "it was never sent"
    posts.post(item(), heard.append)


def test_what_a_lost_core_leaves_another_takes_with_its_room() -> None:
    lost, next_one = Posts(2, 2.0), Posts(2, 2.0)
    lost.post(item(), lambda _: None)
    for post in lost.take_unanswered():
        next_one.adopt(post)
    refuse_more(next_one, "a")
    lost.post(item(), lambda _: None)
