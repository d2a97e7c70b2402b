"""Page tokens of comments."""

from hypothesis import given
from hypothesis import strategies as st

from livecomments.page_tokens import PageTokens
from storage.pages import page_token, place_of
from storage.store import Place

TOKENS = PageTokens.of("a service token")

places = st.builds(Place, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))


@given(places, st.text())
def test_a_token_gives_its_place_back(place: Place, stream_id: str) -> None:
    assert place_of(TOKENS, page_token(TOKENS, place, "window", stream_id), "window", stream_id) == place
