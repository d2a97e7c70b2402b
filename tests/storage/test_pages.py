"""Page tokens."""

import base64
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from storage.pages import BadPageToken, page_token, place_of
from storage.store import Place

places = st.builds(Place, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
arguments = st.lists(st.integers() | st.text(), max_size=4).map(tuple)


@given(places, arguments)
def test_a_token_gives_its_place_back_and_fits_into_a_url(place: Place, bound: tuple[str | int, ...]) -> None:
    token = page_token(place, *bound)
    assert place_of(token, *bound) == place
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


@given(places, arguments, arguments)
def test_a_token_is_refused_with_other_arguments(
    place: Place, bound: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assume(bound != other)
    with pytest.raises(BadPageToken):
        place_of(page_token(place, *bound), *other)


@given(places, st.integers(0, 27), st.integers(1, 255))
def test_a_token_with_one_byte_changed_is_refused(place: Place, at: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(page_token(place, "a") + "=="))
    raw[at] ^= change
    with pytest.raises(BadPageToken):
        place_of(base64.urlsafe_b64encode(raw).decode(), "a")


@given(st.text())
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadPageToken):
        place_of(text, "a")
