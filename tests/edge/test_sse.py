"""What a feed looks like as server-sent events."""

import json

from edge.encodings.sse import SSE
from edge.events import window_events
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed


def posted(seq: int, *texts: str) -> feed.FeedMessage:
    events = [
        pb.Event(posted=pb.CommentPosted(comment=pb.Comment(comment_id=f"{seq}.{index}", text=text)))
        for index, text in enumerate(texts)
    ]
    return feed.FeedMessage(seq=seq, events=pb.EventBatch(events=events))


def other(seq: int, **kind: object) -> feed.FeedMessage:
    return feed.FeedMessage(seq=seq, events=pb.EventBatch(events=[pb.Event(**kind)]))  # type: ignore[arg-type]


def blocks(data: bytes) -> list[dict[str, str]]:
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in data.decode().split("\n\n") if block]


def encode(messages: list[feed.FeedMessage]) -> bytes:
    return SSE.events(window_events("ab", messages, viewers=0))


def test_comments_that_follow_each_other_become_one_event_with_the_last_cursor() -> None:
    events = blocks(encode([posted(5, "a", "b"), posted(8, "c")]))
    assert [event["event"] for event in events] == ["new_comment"]
    assert events[0]["id"] == "ab-8"
    assert [comment["text"] for comment in json.loads(events[0]["data"])] == ["a", "b", "c"]


def test_other_events_stand_between_comments_in_the_order_of_the_log() -> None:
    gone = pb.CommentDeleted(comment_id="5.0")
    window = [posted(5, "a"), other(6, deleted=gone), posted(9, "b"), other(10, ended=pb.StreamEnded(ended_at_ms=1500))]
    events = blocks(encode(window))
    assert [(event["event"], event["id"]) for event in events] == [
        ("new_comment", "ab-5"),
        ("delete_comment", "ab-6"),
        ("new_comment", "ab-9"),
        ("stream_ended", "ab-10"),
    ]
    assert json.loads(events[3]["data"]) == {"ended_at": "1970-01-01T00:00:01.500Z"}


def test_line_breaks_in_a_comment_do_not_break_the_event() -> None:
    events = blocks(encode([posted(5, "one\ntwo\r\nthree\u2028four")]))
    assert json.loads(events[0]["data"])[0]["text"] == "one\ntwo\r\nthree\u2028four"


def test_meta_stands_in_the_comment_as_it_was_given() -> None:
    message = posted(5, "a")
    message.events.events[0].posted.comment.meta_json = '{"color":"red"}'
    assert json.loads(blocks(encode([message]))[0]["data"])[0]["meta"] == {"color": "red"}
