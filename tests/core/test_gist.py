"""What of a message fits into a header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gist import Change, Comments, gist_of, read_gist, write_gist
from livecomments.v1.comment_pb2 import Comment, CommentPinned, CommentPosted, Event, EventBatch, StreamEnded

START_MS = 1_700_000_000_000


def posted(at_ms: int, digest: int) -> Event:
    comment = Comment(comment_id="c", author_id="ann", text="hello", posted_at_ms=at_ms)
    return Event(posted=CommentPosted(comment=comment, request_digest=digest))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_a_header_says_when_and_by_which_requests_comments_were_posted(digests: list[int]) -> None:
    batch = EventBatch(events=[posted(START_MS + number, digest) for number, digest in enumerate(digests)])
    header = write_gist(gist_of(batch))
    assert header is not None
    assert header.isascii()
    assert header.isprintable()
    match read_gist(header):
        case Comments(at_ms, read):
            assert (at_ms, list(read)) == (START_MS + len(digests) - 1, digests)
        case other:
            raise AssertionError(other)


def test_any_other_event_stands_in_the_header_as_it_is() -> None:
    event = Event(ended=StreamEnded(ended_at_ms=START_MS))
    assert read_gist(write_gist(gist_of(EventBatch(events=[event]))) or "") == Change(event)


def test_the_usual_largest_message_has_a_header() -> None:
    header = write_gist(Comments(START_MS, [2**64 - 1] * 1_000))
    assert header is not None
    assert len(header) < 11_000


@pytest.mark.parametrize(
    "gist",
    [
        None,
        Comments(START_MS, [1] * 10_000),
        Change(Event(pinned=CommentPinned(comment=Comment(text="x" * 50_000)))),
    ],
)
def test_what_is_too_long_or_says_nothing_has_no_header(gist: Comments | Change | None) -> None:
    assert write_gist(gist) is None


@pytest.mark.parametrize("header", ["", "c", "e!", "cAAAA", "c" + "A" * 12, "x" + "A" * 32, "e////", "c\N{SNOWMAN}"])
def test_what_no_core_wrote_is_no_gist(header: str) -> None:
    assert read_gist(header) is None
