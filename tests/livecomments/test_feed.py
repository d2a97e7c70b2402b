"""The pure part of a watch: messages in, events out."""

from livecomments.client.feed import (
    CommentDeleted,
    CommentPinned,
    CommentsPosted,
    CommentUnpinned,
    Degraded,
    Feed,
    FeedEvent,
    Omitted,
    Snapshot,
    StreamEnded,
    StreamEnding,
    StreamUpdated,
    Viewers,
)
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed_pb


def comment(text: str) -> pb.Comment:
    return pb.Comment(comment_id=f"id-{text}", text=text)


def posted(seq: int, *texts: str) -> feed_pb.FeedMessage:
    events = [pb.Event(posted=pb.CommentPosted(comment=comment(text))) for text in texts]
    return feed_pb.FeedMessage(seq=seq, events=pb.EventBatch(events=events))


def other(seq: int, event: pb.Event) -> feed_pb.FeedMessage:
    return feed_pb.FeedMessage(seq=seq, events=pb.EventBatch(events=[event]))


def batch(*messages: feed_pb.FeedMessage, omitted: int = 0) -> feed_pb.WatchResponse:
    return feed_pb.WatchResponse(batch=feed_pb.FeedBatch(messages=messages, omitted=omitted))


def snapshot(cursor: str, *, recovered: bool = False, ended: bool = False) -> feed_pb.WatchResponse:
    state = pb.STREAM_STATE_ENDED if ended else pb.STREAM_STATE_LIVE
    return feed_pb.WatchResponse(
        snapshot=feed_pb.Snapshot(stream=pb.Stream(state=state), cursor=cursor, recovered=recovered)
    )


def take(feed: Feed, *responses: feed_pb.WatchResponse) -> list[FeedEvent]:
    return [event for response in responses for event in feed.take(response)]


def test_comments_that_were_committed_together_are_one_event_at_one_cursor() -> None:
    feed = Feed()
    events = take(feed, snapshot("e-3"), batch(posted(4, "a", "b"), posted(9, "c")))
    assert events[1:] == [
        CommentsPosted((comment("a"), comment("b")), "e-4"),
        CommentsPosted((comment("c"),), "e-9"),
    ]
    assert feed.cursor == "e-9"


def test_what_was_seen_on_an_earlier_connection_does_not_come_again() -> None:
    feed = Feed()
    take(feed, snapshot("e-3"), batch(posted(4, "a")))
    events = take(feed, snapshot("e-4", recovered=True), batch(posted(3, "old"), posted(4, "a"), posted(5, "b")))
    assert events[1:] == [CommentsPosted((comment("b"),), "e-5")]


def test_a_reader_that_stops_between_two_events_resumes_between_them() -> None:
    feed = Feed()
    take(feed, snapshot("e-3"))
    events = feed.take(batch(posted(4, "a"), posted(5, "b")))
    next(events)
    assert feed.cursor == "e-4"


def test_only_a_lost_place_is_a_gap() -> None:
    fresh, resumed, lost = Feed(), Feed("e-1"), Feed("e-1")
    gaps = [
        event.gap
        for feed, response in (
            (fresh, snapshot("e-9")),
            (resumed, snapshot("e-1", recovered=True)),
            (lost, snapshot("e-9")),
        )
        for event in feed.take(response)
        if isinstance(event, Snapshot)
    ]
    assert gaps == [False, False, True]


def test_after_a_restore_the_new_epochs_lower_numbers_are_new() -> None:
    feed = Feed()
    take(feed, snapshot("old-900"))
    events = take(feed, snapshot("new-3"), batch(posted(4, "a")))
    assert isinstance(events[0], Snapshot)
    assert events[0].gap
    assert events[1:] == [CommentsPosted((comment("a"),), "new-4")]


def test_every_kind_of_event_has_its_type() -> None:
    feed = Feed()
    stream = pb.Stream(title="New")
    events = take(
        feed,
        snapshot("e-0"),
        batch(
            other(1, pb.Event(deleted=pb.CommentDeleted(comment_id="x"))),
            other(2, pb.Event(pinned=pb.CommentPinned(comment=comment("p")))),
            other(3, pb.Event(unpinned=pb.CommentUnpinned())),
            other(4, pb.Event(updated=pb.StreamUpdated(stream=stream))),
            other(5, pb.Event(ending=pb.StreamEnding(ends_at_ms=7))),
            other(6, pb.Event(ended=pb.StreamEnded(ended_at_ms=8))),
            omitted=12,
        ),
        feed_pb.WatchResponse(viewers=feed_pb.ViewerCount(viewers=3)),
        feed_pb.WatchResponse(heartbeat=feed_pb.Heartbeat()),
        feed_pb.WatchResponse(degraded=True),
        feed_pb.WatchResponse(degraded=False),
    )
    assert events[1:] == [
        CommentDeleted("x", "e-1"),
        CommentPinned(comment("p"), "e-2"),
        CommentUnpinned("e-3"),
        StreamUpdated(stream, "e-4"),
        StreamEnding(7, "e-5"),
        StreamEnded(8, "e-6"),
        Omitted(12),
        Viewers(3),
        Degraded(degraded=True),
        Degraded(degraded=False),
    ]
    assert feed.over


def test_a_message_that_sampling_has_emptied_still_moves_the_cursor() -> None:
    feed = Feed()
    events = take(feed, snapshot("e-3"), batch(posted(4), omitted=5))
    assert events[1:] == [Omitted(5)]
    assert feed.cursor == "e-4"


def test_an_ended_streams_snapshot_says_that_nothing_follows() -> None:
    feed = Feed()
    take(feed, snapshot("e-3", ended=True))
    assert feed.over
