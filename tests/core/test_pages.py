"""Page tokens of ListStreams."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.pages import StreamPosition, page_token, read_page_token
from livecomments.errors import Reason, Refusal
from livecomments.page_tokens import PageTokens

TOKENS = PageTokens.of("a service token")

positions = st.builds(StreamPosition, st.integers(0, 2**45), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))


@given(positions, st.integers(0, 2))
def test_a_token_gives_its_place_back(position: StreamPosition, state: int) -> None:
    assert read_page_token(TOKENS, page_token(TOKENS, position, state), state) == position


@given(positions, st.integers(0, 2), st.integers(0, 2))
def test_a_token_is_bound_to_its_list(position: StreamPosition, state: int, other: int) -> None:
    assume(state != other)
    with pytest.raises(Refusal) as caught:
        read_page_token(TOKENS, page_token(TOKENS, position, state), other)
    assert caught.value.reason is Reason.BAD_PAGE_TOKEN
