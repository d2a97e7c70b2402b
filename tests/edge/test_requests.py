"""What a request carries, limits, tokens: checked, and every error names its field."""

import pytest

from edge.auth import Authenticator
from edge.intake import PostComment
from edge.limits import AddressLimit
from edge.requests import Query, idempotency_key, read_json
from livecomments.errors import Reason, Refusal
from livecomments.token_check import check_of
from livecomments.tokens import NOBODY, TokenKey

KEY = TokenKey(b"k" * 32, "livecomments", "livecomments")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"text": 3}', "text"),
        (b"{}", "text"),
        (b'{"text": "a", "lag_ms": 2147483648}', "lag_ms"),
        (b'{"text": "a", "client_ts": "now"}', "client_ts"),
        (b'{"text": "a", "client_ts": 9223372036854775808}', "client_ts"),
        (b'{"text": "a", "client_ts": -9223372036854775809}', "client_ts"),
        (b'{"text": "a", "client_ts": 1%s}' % (b"0" * 5_000), "client_ts"),
        (b'{"text": "a", "lag_ms": 1%s}' % (b"0" * 100), "lag_ms"),
        (b'{"text": "a", "txet": "b"}', "txet"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_the_name_of_its_field(body: bytes, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_json(body, PostComment)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [error.field for error in refused.value.fields] == [field]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"text": "\xff"}',
        b"null",
        b'{"text": "a\\udc00"}',
        b'{"text": "a", "meta": {"x": "\xff"}}',
        b'{"text": "a", "meta": %s%s}' % (b"[" * 5_000, b"]" * 5_000),
    ],
)
def test_what_is_no_json_object_is_a_malformed_body(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_json(body, PostComment)
    assert refused.value.reason is Reason.MALFORMED_BODY


@pytest.mark.parametrize("text", ["", "-1", "1001", "1.5", "x", "1e3", " 1", "٣"])
def test_a_number_out_of_bounds_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        Query({"limit": [text]}, frozenset({"limit"})).integer("limit", 200, 1, 1000)
    assert [error.field for error in refused.value.fields] == ["limit"]


@pytest.mark.parametrize(
    ("text", "ms"), [("0", 0), ("1.5", 1500), ("12.345", 12345), ("1.2345", 1234), ("3600", 3_600_000)]
)
def test_seconds_are_read_to_the_millisecond(text: str, ms: int) -> None:
    assert Query({"at": [text]}, frozenset({"at"})).milliseconds("at", 0, 0, 3_600_000) == ms


@pytest.mark.parametrize("text", ["3600.001", "-1", "1.", "nan", "inf", "1e2"])
def test_seconds_that_are_none_are_refused_by_their_name(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        Query({"at": [text]}, frozenset({"at"})).milliseconds("at", 0, 0, 3_600_000)
    assert [error.field for error in refused.value.fields] == ["at"]


def test_unknown_and_repeated_parameters_are_refused_by_name() -> None:
    for values, field in (({"lmit": ["1"]}, "lmit"), ({"limit": ["1", "2"]}, "limit")):
        with pytest.raises(Refusal) as refused:
            Query(values, frozenset({"limit"}))
        assert [error.field for error in refused.value.fields] == [field]


def test_an_idempotency_key_may_be_quoted_or_bare() -> None:
    assert idempotency_key('"abc"') == idempotency_key("abc") == "abc"
    assert idempotency_key(None) == ""
    for bad in ("", '""', "é", "a" * 129, "a\x7f"):
        with pytest.raises(Refusal):
            idempotency_key(bad)


def test_an_address_may_post_its_burst_and_then_at_its_rate() -> None:
    limit = AddressLimit(rate=2, burst=3)
    for _ in range(3):
        limit.admit("a", now=0)
    with pytest.raises(Refusal) as refused:
        limit.admit("a", now=0)
    assert refused.value.reason is Reason.ADDRESS_RATE
    assert refused.value.retry_after_ms == 500
    limit.admit("b", now=0)
    limit.admit("a", now=0.5)
    with pytest.raises(Refusal):
        limit.admit("a", now=0.5)


def test_a_rate_of_zero_lifts_the_limit() -> None:
    limit = AddressLimit(rate=0, burst=1)
    for _ in range(10):
        limit.admit("a", now=0)


def test_a_token_is_remembered_and_still_ends() -> None:
    authenticator = Authenticator(check_of(KEY))
    token = KEY.issue("ann", ttl_s=60)
    assert authenticator.identify(f"Bearer {token}").user_id == "ann"
    assert authenticator.identify(f"bearer {token}") is authenticator.identify(f"bearer {token}")
    assert authenticator.identify(None) is NOBODY
    expired = KEY.issue("ann", ttl_s=-1)
    other = TokenKey(b"o" * 32, "livecomments", "livecomments").issue("ann", ttl_s=60)
    for bad in (f"Bearer {expired}", f"Bearer {other}", "Bearer", "Basic abc", "Bearer x.y.z", f"Bearer {token}x"):
        with pytest.raises(Refusal) as refused:
            authenticator.identify(bad)
        assert refused.value.reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("claims", [{"user_id": "a\ud800"}, {"user_id": "ann", "name": "\udfff"}])
def test_a_token_with_a_name_that_is_no_text_is_refused(claims: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refused:
        Authenticator(check_of(KEY)).identify(f"Bearer {KEY.issue(ttl_s=60, **claims)}")
    assert refused.value.reason is Reason.UNAUTHENTICATED
    assert "claim" in refused.value.detail
