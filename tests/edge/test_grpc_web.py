"""gRPC-web as bytes: frames, trailers, what a request may be, and the feed in both forms."""

from base64 import b64decode, b64encode
from contextlib import suppress
from urllib.parse import unquote

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from edge.encodings.grpc_web import GRPC_WEB, GRPC_WEB_TEXT
from edge.events import ended_event, snapshot_event, viewers_event, window_events
from edge.grpc_web import BINARY, TEXT, WireForm, forms_of, timeout_s
from edge.memory import FeedMemory, Limits
from edge.shapes import comment_message, comment_shape
from livecomments.cursor import Cursor
from livecomments.errors import Reason, Refusal, invalid
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed
from tests.edge.test_sse import other, posted
from tests.grpc_web import framed, frames, parts_of_text

FORMS = pytest.mark.parametrize("form", [BINARY, TEXT], ids=["binary", "text"])


def responses(data: bytes) -> list[feed.WatchResponse]:
    return [feed.WatchResponse.FromString(message) for _, message in frames(data)]


def trailers(data: bytes) -> dict[str, str]:
    ((flags, content),) = frames(data)
    assert flags == 0x80
    return dict(line.split(":", 1) for line in content.decode("ascii").splitlines())


def told(form: WireForm, data: bytes) -> bytes:
    return b"".join(map(b64decode, parts_of_text(data))) if form is TEXT else data


# -- the feed --


def test_each_event_is_one_message_with_the_log_s_own() -> None:
    gone = pb.CommentDeleted(comment_id="5.0")
    log = [posted(5, "a", "b"), posted(8, "c"), other(9, deleted=gone), posted(12, "d")]
    events = window_events("ab", log, viewers=3)
    found = responses(GRPC_WEB.events(events))
    assert [list(response.batch.messages) for response in found] == [log[:2], log[2:3], log[3:]]
    # The same cut as for everyone else: the last message of each is the event's cursor.
    assert [f"ab-{response.batch.messages[-1].seq}".encode() for response in found] == [e.cursor for e in events]


def test_a_snapshot_holds_the_comments_as_they_were_posted() -> None:
    comment = pb.Comment(
        comment_id="1.0", stream_id="s", author_id="ann", author_name="Ann", text="gr\u00fc\u00dfe",
        posted_at_ms=1_700_000_000_123, offset_ms=5, lag_ms=7, meta_json='{"a":1}',
    )  # fmt: skip
    stream = pb.Stream(stream_id="s", state=pb.STREAM_STATE_LIVE, pinned=comment, started_at_ms=9)
    snapshot = feed.Snapshot(stream=stream, comments=[comment], cursor="ab-4", viewers=2)
    memory = FeedMemory(snapshot, Limits(keep_s=30, resume_events=10, resume_bytes=1_000))
    assert responses(memory.snapshot(GRPC_WEB)) == [feed.WatchResponse(snapshot=snapshot)]
    (again,) = responses(GRPC_WEB.events([memory.recovered(Cursor("ab", 2))]))
    assert again.snapshot == feed.Snapshot(stream=stream, cursor="ab-2", viewers=2, recovered=True)


@given(
    st.builds(
        pb.Comment,
        comment_id=st.text(max_size=5),
        stream_id=st.just("s"),
        author_id=st.text(max_size=5),
        author_name=st.text(max_size=5),
        text=st.text(max_size=20),
        posted_at_ms=st.integers(0, 4_000_000_000_000),
        offset_ms=st.integers(0, 2**40),
        lag_ms=st.integers(0, 60_000),
        meta_json=st.sampled_from(["", "{}", '{"a":"\u00fc"}']),
    )
)
def test_nothing_of_a_comment_is_lost_in_its_shape(comment: pb.Comment) -> None:
    assert comment_message(comment_shape(comment), "s") == comment


def test_what_stands_outside_the_log_is_told_too() -> None:
    assert responses(GRPC_WEB.events([viewers_event(5)])) == [feed.WatchResponse(viewers=feed.ViewerCount(viewers=5))]
    assert responses(GRPC_WEB.heartbeat) == [feed.WatchResponse(heartbeat=feed.Heartbeat())]
    # The snapshot has said so.
    assert GRPC_WEB.events([ended_event(5)]) == b""


def test_no_message_is_made_for_those_who_do_not_watch_by_grpc() -> None:
    stream = pb.Stream(stream_id="s")
    event = snapshot_event(stream, 1, (), Cursor("ab", 1), recovered=False)
    stream.title = "changed"
    assert event.respond is not None
    assert event.respond().snapshot.stream.title == "changed", "it is made when it is asked for"


def test_each_part_of_the_text_form_is_base64_by_itself() -> None:
    events = [viewers_event(number) for number in (1, 200, 70_000)]
    pieces = [GRPC_WEB_TEXT.events([event]) for event in events]
    assert GRPC_WEB_TEXT.events(events) == b"".join(pieces)
    assert {piece.count(b"=") for piece in pieces} > {0}, "with a padding of its own"
    assert [b64decode(piece, validate=True) for piece in pieces] == [GRPC_WEB.events([event]) for event in events]


# -- how a call ends --


@FORMS
def test_the_trailers_say_how_a_call_ended(form: WireForm) -> None:
    assert trailers(told(form, form.end())) == {"grpc-status": "0"}
    refusal = Refusal(Reason.USER_RATE, "zu schnell: 100 %\r\nwirklich \u00fc", retry_after_ms=1_500)
    found = trailers(told(form, form.refusal(refusal)))
    assert found["grpc-status"] == "8"
    assert found["grpc-message"].isascii()
    assert unquote(found["grpc-message"]) == refusal.detail
    details = found["grpc-status-details-bin"]
    assert "=" not in details
    status = status_pb2.Status.FromString(b64decode(details + "=" * (-len(details) % 4), validate=True))
    assert (status.code, status.message) == (8, refusal.detail)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain) == ("USER_RATE", "livecomments")
    assert retry.retry_delay.ToMilliseconds() == 1_500


def test_a_viewer_that_is_sent_away_is_told_when_to_come_back() -> None:
    chunk = GRPC_WEB.too_slow.removesuffix(b"\r\n0\r\n\r\n").partition(b"\r\n")[2]
    for data in (GRPC_WEB.farewell(700), chunk):
        found = trailers(data)
        assert found["grpc-status"] == "14"
        status = status_pb2.Status.FromString(b64decode(found["grpc-status-details-bin"] + "=="))
        assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)


# -- what a request may be --


REQUEST = feed.WatchRequest(stream_id="s", cursor="ab-1")


@FORMS
def test_a_request_is_one_message(form: WireForm) -> None:
    assert form.request(form.write(framed(REQUEST)), feed.WatchRequest) == REQUEST
    assert form.request(form.write(framed(feed.WatchRequest())), feed.WatchRequest) == feed.WatchRequest()


def test_a_request_in_text_may_come_in_parts_that_are_padded_each_by_itself() -> None:
    data = framed(REQUEST)
    text = b"".join(b64encode(data[at : at + 4]) for at in range(0, len(data), 4))
    assert b"==" in text[:-2]
    assert TEXT.request(text, feed.WatchRequest) == REQUEST


@FORMS
@pytest.mark.parametrize(
    "frames_sent",
    [
        b"",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x00\x05ab",
        framed(REQUEST) + b"x",
        framed(REQUEST) * 2,
        framed(REQUEST, flags=1),
        framed(REQUEST, flags=0x80),
        b"\x00\x00\x00\x00\x03\xff\xff\xff",
        b"\x00\xff\xff\xff\xff",
    ],
)
def test_whatever_is_not_one_message_is_refused(form: WireForm, frames_sent: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        form.request(form.write(frames_sent), feed.WatchRequest)
    assert refused.value.reason is Reason.MALFORMED_BODY


@pytest.mark.parametrize("text", [b"=", b"A", b"====", b"AAA", b"AA=A", b"AAAA\n", b"A-_A", b"\xff\xff\xff\xff"])
def test_text_that_is_not_base64_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal, match="not base64"):
        TEXT.request(text, feed.WatchRequest)


@given(st.binary(max_size=60))
def test_any_body_is_a_request_or_a_refusal(body: bytes) -> None:
    for form in (BINARY, TEXT):
        with suppress(Refusal):
            assert isinstance(form.request(body, feed.WatchRequest), feed.WatchRequest)


@pytest.mark.parametrize(
    ("content_type", "accept", "asked", "answered"),
    [
        ("application/grpc-web", None, BINARY, BINARY),
        ("application/grpc-web+proto", "*/*", BINARY, BINARY),
        ("application/grpc-web-text", "", TEXT, TEXT),
        ("Application/gRPC-Web-Text+proto ; charset=utf-8", None, TEXT, TEXT),
        ("application/grpc-web+proto", "application/grpc-web-text", BINARY, TEXT),
        ("application/grpc-web-text", "text/html, application/grpc-web;q=1", TEXT, BINARY),
    ],
)
def test_a_call_is_answered_in_the_form_it_asks_for(
    content_type: str, accept: str | None, asked: WireForm, answered: WireForm
) -> None:
    forms = forms_of(content_type, accept)
    assert forms is not None
    assert (forms.asked, forms.answered) == (asked, answered)


@pytest.mark.parametrize(
    "content_type", [None, "", "application/grpc", "application/json", "application/grpc-web+json"]
)
def test_anything_else_is_no_grpc_web(content_type: str | None) -> None:
    assert forms_of(content_type, "application/grpc-web") is None


def test_a_timeout_has_digits_and_a_unit() -> None:
    assert timeout_s(None) is None
    found = [timeout_s(text) for text in ("2H", "3M", "4S", "500m", "0m")]
    assert found == [7200, 180, 4, 0.5, 0]
    assert timeout_s("5u") == pytest.approx(5e-6)
    assert timeout_s("99999999n") == pytest.approx(0.1, rel=0.01)
    for text in ("", "5", "S", "-1S", "123456789S", "1.5S", "\u0665S", "1S "):
        with pytest.raises(Refusal) as refused:
            timeout_s(text)
        assert refused.value.fields == invalid("grpc-timeout", refused.value.fields[0].detail).fields
