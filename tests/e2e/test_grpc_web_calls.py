"""Calls with one answer by gRPC-web: what the services offer, as HTTP offers it, in both forms."""

import json
import uuid
from typing import Any

import pytest
from google.protobuf.message import Message

from edge.shapes import comment_shape, encode
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import comment_service_pb2 as comments
from livecomments.v1 import history_service_pb2 as history
from livecomments.v1 import stream_service_pb2 as streams
from tests.grpc_web import BINARY, TEXT, Answer, call_once
from tests.silent_storage import silent_storage
from tests.system import System, ready

POST = "CommentService/PostComment"
LIST = "HistoryService/ListComments"
RECENT = "HistoryService/ListRecentComments"
STREAM = "StreamService/GetStream"
CALLS: dict[str, tuple[Message, type[Message]]] = {
    POST: (comments.PostCommentRequest(text="x"), comments.PostCommentResponse),
    LIST: (history.ListCommentsRequest(duration_ms=1000), history.ListCommentsResponse),
    RECENT: (history.ListRecentCommentsRequest(), history.ListRecentCommentsResponse),
    STREAM: (streams.GetStreamRequest(), streams.GetStreamResponse),
}


@pytest.fixture(params=[BINARY, TEXT + "+proto"], ids=["binary", "text"])
def content_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def post(system: System, stream_id: str, text: str, *, url: str = "", token: str = "", **how: Any) -> Answer:
    fields = {name: how.pop(name) for name in ("request_id", "lag_ms", "meta_json") if name in how}
    asked = comments.PostCommentRequest(stream_id=stream_id, text=text, **fields)
    return call_once(url or system.url, POST, asked, token=token or system.token("ann"), **how)


def posted(answer: Answer) -> comments.PostCommentResponse:
    return answer.one(comments.PostCommentResponse)


# -- posting --


def test_a_comment_is_posted_and_is_everywhere(system: System, content_type: str) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer:
        answer = post(system, stream, "hello \U0001f3c6", lag_ms=70, meta_json='{"a":1}', content_type=content_type)
        comment = posted(answer).comment
        assert answer.headers["content-type"] == content_type.removesuffix("+proto") + "+proto"
        assert (comment.stream_id, comment.author_id, comment.text) == (stream, "ann", "hello \U0001f3c6")
        viewer.until(lambda v: v.comments(), "the comment")
        assert viewer.comments() == [json.loads(encode(comment_shape(comment)))]
        assert viewer.cursor == posted(answer).cursor
    (stored,) = system.stored(stream, len)
    assert stored["comment_id"] == comment.comment_id


def test_a_repeated_post_is_one_comment_whichever_way_it_comes(system: System, content_type: str) -> None:
    stream, key = system.create_stream(), uuid.uuid4().hex
    first = posted(post(system, stream, "once", request_id=key, content_type=content_type))
    assert posted(post(system, stream, "once", request_id=key)) == first
    assert system.post(stream, "once", key=key)["comment_id"] == first.comment.comment_id
    other = post(system, stream, "another", request_id=key, content_type=content_type).ending
    assert (other.reason, other.status) == ("KEY_REUSED", 3)
    system.post(stream, "last")
    assert [comment["text"] for comment in system.stored(stream, lambda found: len(found) > 1)] == ["once", "last"]


def test_the_limit_of_an_address_is_one_for_both_ways_in(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-limited", edge_address_rate="0.001", edge_address_burst="2") as edge:
        url = ready(system, edge)
        headers = {"Authorization": f"Bearer {system.token('ann')}"}
        path = f"{url}/v1/streams/{stream}/comments"
        assert system.client.post(path, json={"text": "one"}, headers=headers).status_code == 202
        assert posted(post(system, stream, "two", url=url)).comment.text == "two"
        refused = post(system, stream, "three", url=url).ending
        assert (refused.reason, refused.status) == ("ADDRESS_RATE", 8)
        assert refused.retry_ms > 0
        assert edge.metric('livecomments_edge_posts_total{outcome="accepted"}') == 2


def test_a_refused_post_has_its_row_of_the_error_table_and_names_each_bad_field(
    system: System, content_type: str
) -> None:
    stream, private, over = system.create_stream(), system.create_stream(visibility="private"), system.create_stream()
    system.end_stream(over)

    def refused(stream_id: str, text: str = "x", **how: Any) -> tuple[str, int, tuple[str, ...]]:
        ending = post(system, stream_id, text, content_type=content_type, **how).ending
        assert ending.message not in ("", ending.reason)
        return ending.reason, ending.status, ending.fields

    bad = {"lag_ms": -1, "meta_json": "[]", "request_id": "x" * 129}
    assert refused(stream, "", **bad) == ("INVALID_FIELD", 3, ("text", "lag_ms", "request_id", "meta_json"))
    assert refused("a/b") == ("INVALID_FIELD", 3, ("stream_id",))
    assert refused("nobody-knows") == ("STREAM_NOT_FOUND", 5, ())
    assert refused(over) == ("STREAM_ENDED", 9, ())
    assert refused(private) == ("FORBIDDEN", 7, ())
    assert refused(stream, token="x.y.z") == ("UNAUTHENTICATED", 16, ())
    nobody = call_once(system.url, POST, comments.PostCommentRequest(stream_id=stream, text="x")).ending
    assert (nobody.reason, nobody.status) == ("UNAUTHENTICATED", 16)
    assert system.replay(stream) == []


# -- reading --


def test_a_replay_is_the_one_that_http_has_page_by_page(system: System, content_type: str) -> None:
    stream = system.create_stream()
    for number in range(5):
        system.post(stream, f"{number}", meta={"n": number})
    expected = system.stored(stream, lambda found: len(found) == 5)
    found: list[pb.Comment] = []
    asked = history.ListCommentsRequest(stream_id=stream, duration_ms=3_600_000, page_size=2)
    for size in (2, 2, 1):
        page = call_once(system.url, LIST, asked, content_type=content_type).one(history.ListCommentsResponse)
        assert len(page.comments) == size
        found += page.comments
        asked.page_token = page.next_page_token
    assert not page.next_page_token
    assert not page.complete
    assert json.loads(encode(list(map(comment_shape, found)))) == expected


def test_the_latest_comments_and_those_before_them(system: System, content_type: str) -> None:
    stream = system.create_stream()
    for number in range(3):
        system.post(stream, f"{number}")
    system.stored(stream, lambda found: len(found) == 3)
    asked = history.ListRecentCommentsRequest(stream_id=stream, page_size=2)
    page = call_once(system.url, RECENT, asked, content_type=content_type).one(history.ListRecentCommentsResponse)
    assert [comment.text for comment in page.comments] == ["1", "2"]
    asked.page_token = page.next_page_token
    page = call_once(system.url, RECENT, asked, content_type=content_type).one(history.ListRecentCommentsResponse)
    assert [comment.text for comment in page.comments] == ["0"]
    with system.watch(stream, cursor=page.through_cursor) as viewer:
        system.post(stream, "after")
        viewer.until(lambda v: v.texts() == ["after"], "what came after the cursor")


def test_a_stream_is_told_with_its_pin(system: System, content_type: str) -> None:
    stream = system.create_stream(title="The final")
    one = system.post(stream, "one")
    pin = {"comment_id": one["comment_id"]}
    system.request("PUT", f"/v1/streams/{stream}/pinned", pin, token=system.token("host", role="host"))
    answer = call_once(system.url, STREAM, streams.GetStreamRequest(stream_id=stream), content_type=content_type)
    found = answer.one(streams.GetStreamResponse).stream
    assert (found.title, found.state, found.host_id) == ("The final", pb.STREAM_STATE_LIVE, "host")
    assert found.pinned.text == "one"


def test_a_private_stream_is_read_with_a_token_that_names_it(system: System) -> None:
    stream = system.create_stream(visibility="private")
    for method in (LIST, RECENT, STREAM):
        asked, form = type(CALLS[method][0])(), CALLS[method][1]
        asked.CopyFrom(CALLS[method][0])
        asked.stream_id = stream  # type: ignore[attr-defined]
        assert call_once(system.url, method, asked).ending.reason == "UNAUTHENTICATED"
        assert call_once(system.url, method, asked, token=system.token("eve")).ending.reason == "FORBIDDEN"
        call_once(system.url, method, asked, token=system.token("ann", streams=(stream,))).one(form)


def test_a_read_that_is_refused_names_the_field_as_the_proto_does(system: System, content_type: str) -> None:
    stream = system.create_stream()
    for method, asked, reason, field in (
        (LIST, history.ListCommentsRequest(stream_id=stream, duration_ms=-1), "INVALID_FIELD", "duration_ms"),
        (LIST, history.ListCommentsRequest(stream_id="a/b", duration_ms=1), "INVALID_FIELD", "stream_id"),
        (RECENT, history.ListRecentCommentsRequest(stream_id=stream, page_size=201), "INVALID_FIELD", "page_size"),
        (RECENT, history.ListRecentCommentsRequest(stream_id=stream, page_token="x"), "BAD_PAGE_TOKEN", "page_token"),
        (STREAM, streams.GetStreamRequest(stream_id="nobody-knows"), "STREAM_NOT_FOUND", ""),
    ):
        ending = call_once(system.url, method, asked, content_type=content_type).ending
        assert (ending.reason, ending.fields[:1]) == (reason, (field,) if field else ())


# -- deadlines --


@pytest.mark.parametrize("method", list(CALLS))
def test_a_call_whose_time_is_over_is_not_begun(system: System, method: str, content_type: str) -> None:
    stream = system.create_stream()
    asked = type(CALLS[method][0])()
    asked.CopyFrom(CALLS[method][0])
    asked.stream_id = stream  # type: ignore[attr-defined]
    how = {"content_type": content_type, "token": system.token("ann")}
    late = call_once(system.url, method, asked, timeout="0m", **how).ending
    assert (late.status, late.reason) == (4, "")
    malformed = call_once(system.url, method, asked, timeout="1.5S", **how).ending
    assert (malformed.reason, malformed.fields) == ("INVALID_FIELD", ("grpc-timeout",))
    system.post(stream, "last")
    assert [comment["text"] for comment in system.stored(stream, len)] == ["last"]


def test_a_call_ends_at_its_deadline_whatever_it_waits_for(system: System) -> None:
    with silent_storage() as storage, system.service("edge", "-waiting", storage_urls=storage) as edge:
        url = ready(system, edge)
        asked = history.ListRecentCommentsRequest(stream_id="s")
        # Without the deadline it is OVERLOADED, after 5 s.
        late = call_once(url, RECENT, asked, timeout="300m").ending
        assert late.status == 4
        assert late.message


# -- what is no such call --


@pytest.mark.parametrize(
    "name",
    [
        "CommentService/IngestComments", "CommentService/DeleteComment", "FeedService/Relay",
        "HistoryService/ExportComments", "StreamService/", "NoService/PostComment",
    ],
)  # fmt: skip
def test_what_is_not_offered_is_unimplemented(system: System, name: str, content_type: str) -> None:
    asked = comments.PostCommentRequest(text="x" * 1000)
    answer = call_once(system.url, name, asked, token=system.token("ann"), content_type=content_type)
    if name.endswith("/"):
        assert answer.status_code == 404
    else:
        assert (answer.ending.status, answer.ending.reason) == (12, "")
        assert name in answer.ending.message


@pytest.mark.parametrize("method", list(CALLS))
def test_a_body_that_is_not_one_message_is_refused(system: System, method: str) -> None:
    url, headers = f"{system.url}/livecomments.v1.{method}", {"Content-Type": BINARY}
    for body in (b"", b"\0", b"\0\0\0\0\2\xff\xff", b"\1\0\0\0\0", b"\0\0\0\0\0" * 2, b"\0\xff\xff\xff\xff"):
        answer = Answer.of(system.client.post(url, content=body, headers=headers))
        assert (answer.ending.reason, answer.ending.status) == ("MALFORMED_BODY", 3)
    large = Answer.of(system.client.post(url, content=b"x" * 20_000, headers=headers))
    assert (large.ending.reason, large.ending.status) == ("BODY_TOO_LARGE", 11)
    assert large.headers["connection"] == "close"
    for media_type in ("application/json", "application/grpc", "application/grpc-web+json"):
        assert system.client.post(url, content=b"{}", headers={"Content-Type": media_type}).status_code == 415
    assert system.client.get(url).status_code == 405


def test_pages_of_an_allowed_origin_may_call_and_read_the_trailers(system: System) -> None:
    stream = system.create_stream()
    with system.service("edge", "-shared", edge_cors_origins="https://a.example") as edge:
        url = ready(system, edge)
        ask = {
            "Origin": "https://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent",
        }
        allowed = system.client.options(f"{url}/livecomments.v1.{POST}", headers=ask).headers
        assert "POST" in allowed["access-control-allow-methods"].split(", ")
        wanted = set(ask["Access-Control-Request-Headers"].split(","))
        assert wanted <= set(allowed["access-control-allow-headers"].split(", "))
        for origin, is_allowed in (("https://a.example", True), ("https://b.example", False)):
            answer = post(system, stream, "x", url=url, headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is is_allowed
            if is_allowed:
                exposed = answer.headers["access-control-expose-headers"].split(", ")
                assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed)
