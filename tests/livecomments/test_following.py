"""What a watch does next, without a connection."""

import pytest

from livecomments.backoff import Backoff
from livecomments.client import Disconnected, NotFound, Reason, Snapshot, StreamEnded, Unavailable
from livecomments.client.following import FIRST_MAX_S, SILENCE_MAX_S, Following
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed_pb

LOST = Unavailable(Reason.DRAINING, "gone")


def following(cursor: str = "") -> Following:
    return Following("demo", cursor, Backoff(first_s=1, most_s=4, uniform=max))


def snapshot(cursor: str, state: pb.StreamState.ValueType = pb.STREAM_STATE_LIVE) -> feed_pb.WatchResponse:
    return feed_pb.WatchResponse(snapshot=feed_pb.Snapshot(cursor=cursor, stream=pb.Stream(state=state)))


def ended(seq: int) -> feed_pb.WatchResponse:
    events = pb.EventBatch(events=[pb.Event(ended=pb.StreamEnded(ended_at_ms=9))])
    return feed_pb.WatchResponse(batch=feed_pb.FeedBatch(messages=[feed_pb.FeedMessage(seq=seq, events=events)]))


def test_a_lost_connection_is_told_and_resumed_from_the_last_cursor_after_a_pause() -> None:
    watch = following()
    assert watch.request() == feed_pb.WatchRequest(stream_id="demo")
    watch.received(snapshot("e-7"))
    assert isinstance(watch.take(), Snapshot)
    watch.lost(LOST, now=100)
    assert watch.take() == Disconnected(LOST, 1)
    assert watch.take() is None
    assert watch.pause_s(now=100) == 1
    assert watch.pause_s(now=101) == 0
    assert watch.request().cursor == "e-7"


def test_pauses_grow_while_nothing_answers_and_an_overloaded_server_says_its_own() -> None:
    watch = following()
    for pause in (1, 2, 4, 4):
        watch.lost(LOST, now=0)
        assert watch.take() == Disconnected(LOST, pause)
    watch.received(snapshot("e-0"))
    assert isinstance(watch.take(), Snapshot)
    busy = Unavailable(Reason.OVERLOADED, retry_after_ms=10_000)
    watch.lost(busy, now=0)
    assert watch.take() == Disconnected(busy, 15)


def test_a_server_that_closes_a_live_feed_is_come_back_to_and_one_that_closes_an_ended_one_is_not() -> None:
    watch = following()
    watch.received(snapshot("e-0"))
    with pytest.raises(Unavailable):
        watch.received(None)
    watch.received(snapshot("e-1", pb.STREAM_STATE_ENDED))
    watch.take()
    assert not watch.over, "what was missed may still come"
    watch.received(None)
    assert watch.over


def test_a_watch_is_over_when_the_end_was_taken() -> None:
    watch = following()
    watch.received(snapshot("e-0"))
    watch.take()
    watch.received(ended(1))
    assert not watch.over
    assert isinstance(watch.take(), StreamEnded)
    assert watch.over


def test_what_coming_back_cannot_mend_is_raised() -> None:
    refused = NotFound(Reason.STREAM_NOT_FOUND)
    with pytest.raises(NotFound) as caught:
        following().lost(refused, now=0)
    assert caught.value is refused


def test_a_feed_without_a_cursor_is_no_feed() -> None:
    watch = following("e-3")
    with pytest.raises(Unavailable):
        watch.received(snapshot("nonsense"))
    assert watch.take() is None
    assert watch.request().cursor == "e-3"


def test_the_first_response_of_each_connection_must_come_soon() -> None:
    watch = following()
    watch.request()
    assert watch.patience_s() == FIRST_MAX_S
    watch.received(snapshot("e-0"))
    assert watch.patience_s() == SILENCE_MAX_S
    watch.request()
    assert watch.patience_s() == FIRST_MAX_S
