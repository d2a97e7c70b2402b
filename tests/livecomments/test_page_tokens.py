"""Page tokens."""

import base64
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from livecomments.errors import Reason, Refusal
from livecomments.page_tokens import PageTokens

TOKENS = PageTokens.of("service-token-of-one-installation")

places = st.binary(min_size=1, max_size=72)
requests = st.lists(st.integers() | st.text(), max_size=4).map(tuple)


def refused(token: str, *request: str | int, tokens: PageTokens = TOKENS) -> None:
    with pytest.raises(Refusal) as caught:
        tokens.read(token, *request)
    assert caught.value.reason is Reason.BAD_PAGE_TOKEN
    assert [error.field for error in caught.value.fields] == ["page_token"]


@given(places, requests)
def test_a_token_gives_its_place_back_and_fits_into_a_url(place: bytes, request: tuple[str | int, ...]) -> None:
    token = TOKENS.sign(place, *request)
    assert TOKENS.read(token, *request) == place
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert len(token) <= 118


@given(places, requests, requests)
def test_a_token_is_refused_with_another_request(
    place: bytes, request: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assume(request != other)
    refused(TOKENS.sign(place, *request), *other)


@given(places, st.data(), st.integers(1, 255))
def test_a_token_with_one_byte_changed_is_refused(place: bytes, data: st.DataObject, change: int) -> None:
    token = TOKENS.sign(place, "a")
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= change
    refused(base64.urlsafe_b64encode(raw).decode().rstrip("="), "a")


@given(st.text() | st.text(string.ascii_letters + string.digits + "-_=", max_size=400))
def test_text_that_is_no_token_is_refused(text: str) -> None:
    refused(text, "a")


@given(places)
def test_a_token_is_good_in_its_own_installation_alone(place: bytes) -> None:
    token = TOKENS.sign(place, "a")
    assert PageTokens.of("service-token-of-one-installation").read(token, "a") == place
    refused(token, "a", tokens=PageTokens.of("service-token-of-another-installation"))


def test_the_key_is_not_the_services_token() -> None:
    assert b"service-token" not in TOKENS.key
