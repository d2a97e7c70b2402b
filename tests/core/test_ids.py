"""Ids of comments."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from core.ids import CommentIds, posted_at_of


@given(st.lists(st.integers(0, 2), min_size=1, max_size=200), st.integers(0, 2**48 - 1_000))
def test_ids_rise_are_unique_and_tell_their_time(gaps: list[int], start_ms: int) -> None:
    ids = CommentIds()
    at_ms, made = start_ms, []
    for gap in gaps:
        at_ms += gap
        comment_id = ids.next(at_ms)
        made.append(comment_id)
        assert posted_at_of(comment_id) == at_ms
        parsed = uuid.UUID(comment_id)
        assert parsed.version == 7
        assert parsed.variant == uuid.RFC_4122
        assert str(parsed) == comment_id
    assert made == sorted(set(made))


def test_even_the_largest_draws_leave_room_for_a_batch() -> None:
    ids = CommentIds(draw=lambda bits: 2**bits - 1)
    made = [ids.next(1_700_000_000_000) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {posted_at_of(comment_id) for comment_id in made} == {1_700_000_000_000}


def test_what_is_no_uuid7_tells_no_time() -> None:
    for text in (
        "",
        "x",
        str(uuid.uuid4()),
        str(uuid.UUID(int=0)),
        CommentIds().next(1).upper().replace("0", "A"),
        "*",
    ):
        assert posted_at_of(text) is None
