"""Which posts were seen before."""

from hypothesis import given
from hypothesis import strategies as st

from core.requests import REMEMBERED_MS, Place, Requests, request_digest

START_MS = 1_700_000_000_000


@given(st.lists(st.tuples(st.integers(0, 50_000), st.lists(st.integers(0, 12), max_size=6, unique=True)), max_size=40))
def test_a_request_is_found_for_two_minutes_and_not_longer(messages: list[tuple[int, list[int]]]) -> None:
    """Against a model that forgets nothing by itself."""
    requests = Requests()
    model: dict[int, tuple[int, Place]] = {}
    at_ms = START_MS
    for seq, (gap, digests) in enumerate(messages, 1):
        at_ms += gap
        requests.forget(at_ms)
        known = {digest: place for digest, (then, place) in model.items() if then > at_ms - REMEMBERED_MS}
        assert {digest: place for digest in range(1, 13) if (place := requests.find(digest))} == known
        assert len(requests) == len(known)
        fresh = [digest if digest not in known else 0 for digest in digests]
        requests.remember(seq, at_ms, fresh)
        model.update({digest: (at_ms, Place(seq, index)) for index, digest in enumerate(fresh) if digest})


def test_at_most_so_many_are_remembered_and_the_oldest_go_first() -> None:
    requests = Requests(remembered_max=100)
    for seq in range(1, 51):
        requests.remember(seq, START_MS, [seq * 10 + index for index in range(5)])
        requests.forget(START_MS)
        assert len(requests) <= 100
    assert requests.find(504) == Place(50, 4)
    assert requests.find(10) is None


def test_the_last_event_of_the_largest_message_is_found_in_its_place() -> None:
    requests = Requests()
    requests.remember(2**40, START_MS, list(range(1, 10_001)))
    assert requests.find(10_000) == Place(2**40, 9_999)


@given(st.text(), st.text(min_size=1), st.text(), st.text(min_size=1))
def test_a_digest_belongs_to_one_author_and_one_request(author: str, request: str, other: str, another: str) -> None:
    assert 0 < request_digest(author, request) < 2**64
    if (author, request) != (other, another) and "\0" not in author + other:
        assert request_digest(author, request) != request_digest(other, another)


def test_no_request_id_has_no_digest() -> None:
    assert request_digest("ann", "") == 0
