"""What HistoryService takes, and what it calls the field that it does not take."""

import pytest

from livecomments.errors import Reason, Refusal
from livecomments.page_tokens import PageTokens
from livecomments.v1.history_service_pb2 import ListCommentsRequest, ListRecentCommentsRequest
from storage.arguments import comment_posted_at, recent_of, stream_id_of, window_of
from storage.store import LAST, Place

TOKENS = PageTokens.of("a service token")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream_id", ""),
        ("stream_id", "a b"),
        ("stream_id", "d.e"),
        ("stream_id", "ä"),
        ("stream_id", "x" * 65),
        ("start_offset_ms", -1),
        ("start_offset_ms", 2**62),
        ("duration_ms", 0),
        ("duration_ms", 3_600_001),
        ("page_size", -1),
        ("page_size", 1_001),
    ],
)
def test_a_bad_argument_of_a_window_is_named(field: str, value: str | int) -> None:
    request = ListCommentsRequest(stream_id="demo", duration_ms=1)
    setattr(request, field, value)
    with pytest.raises(Refusal) as refused:
        window_of(request, TOKENS)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [error.field for error in refused.value.fields] == [field]


@pytest.mark.parametrize(("field", "value"), [("stream_id", "*"), ("page_size", 201), ("page_size", -1)])
def test_a_bad_argument_of_a_recent_page_is_named(field: str, value: str | int) -> None:
    request = ListRecentCommentsRequest(stream_id="demo")
    setattr(request, field, value)
    with pytest.raises(Refusal) as refused:
        recent_of(request, TOKENS)
    assert [error.field for error in refused.value.fields] == [field]


def test_a_bad_id_is_named() -> None:
    for check, field in ((comment_posted_at, "comment_id"), (stream_id_of, "stream_id")):
        with pytest.raises(Refusal) as refused:
            check("/")
        assert [error.field for error in refused.value.fields] == [field]


def test_the_widest_arguments_are_taken_and_zero_means_the_default() -> None:
    widest = window_of(ListCommentsRequest(stream_id="x" * 64, duration_ms=3_600_000, page_size=1_000), TOKENS)
    assert (widest.after, widest.end_offset_ms, widest.limit) == (Place(0, 0, 0), 3_600_000, 1_000)
    assert window_of(ListCommentsRequest(stream_id="demo", duration_ms=1), TOKENS).limit == 200
    assert recent_of(ListRecentCommentsRequest(stream_id="demo", page_size=200), TOKENS).limit == 200
    latest = recent_of(ListRecentCommentsRequest(stream_id="demo"), TOKENS)
    assert (latest.before, latest.limit) == (LAST, 100)


def test_a_page_token_leads_on_in_another_page_size_but_in_no_other_listing() -> None:
    first = window_of(ListCommentsRequest(stream_id="demo", start_offset_ms=10, duration_ms=5, page_size=2), TOKENS)
    token = first.token(TOKENS, Place(11, 7, 1))
    following = ListCommentsRequest(stream_id="demo", start_offset_ms=10, duration_ms=5, page_size=9, page_token=token)
    assert window_of(following, TOKENS).after == Place(11, 7, 1)
    for change in ({"stream_id": "other"}, {"start_offset_ms": 9}, {"duration_ms": 6}):
        other = ListCommentsRequest()
        other.CopyFrom(following)
        for field, value in change.items():
            setattr(other, field, value)
        with pytest.raises(Refusal) as refused:
            window_of(other, TOKENS)
        assert refused.value.reason is Reason.BAD_PAGE_TOKEN
    with pytest.raises(Refusal) as refused:
        recent_of(ListRecentCommentsRequest(stream_id="demo", page_token=token), TOKENS)
    assert refused.value.reason is Reason.BAD_PAGE_TOKEN
