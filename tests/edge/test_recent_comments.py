"""The latest comments that an edge has in memory, and from where on older ones are to be asked for."""

from hypothesis import given
from hypothesis import strategies as st

from edge.recent_comments import KEPT, RecentComments
from livecomments.v1 import comment_pb2 as pb
from livecomments.v1 import feed_service_pb2 as feed


def comment(number: int) -> pb.Comment:
    return pb.Comment(comment_id=str(number), text=f"t{number}", offset_ms=10 * number)


def begun(count: int, *, from_first: bool = True, knows_places: bool = True) -> RecentComments:
    """With the comments 0 to ``count``, each alone in its message."""
    numbers = range(count)
    snapshot = feed.Snapshot(comments=map(comment, numbers), from_first=from_first)
    if knows_places:
        snapshot.comment_seqs.extend(number + 1 for number in numbers)
        snapshot.comment_indices.extend(0 for _ in numbers)
    return RecentComments(snapshot)


@given(
    stored=st.integers(0, KEPT),
    messages=st.lists(st.integers(1, 90), max_size=5),
    deleted=st.sets(st.integers(0, 2 * KEPT)),
    limit=st.integers(1, KEPT),
    from_first=st.booleans(),
)
def test_a_page_holds_the_last_that_are_left_and_names_the_place_of_its_first(
    stored: int, messages: list[int], deleted: set[int], limit: int, from_first: bool
) -> None:
    recent = begun(stored, from_first=from_first)
    places = {number: (10 * number, number + 1, 0) for number in range(stored)}
    for seq, count in enumerate(messages, KEPT + 1):
        for index in range(count):
            number = len(places)
            places[number] = (10 * number, seq, index)
            recent.add(comment(number), seq, index)
    kept = list(places)[-KEPT:]
    for number in deleted:
        recent.delete(str(number))
    left = [number for number in kept if number not in deleted]
    shown = left[-limit:]
    assert [shape.comment_id for shape in recent.last(limit)] == [str(number) for number in shown]
    page = recent.page(limit)
    is_all = from_first and len(places) <= KEPT and shown == left
    if not shown and not is_all:
        assert page is None
        return
    assert page is not None
    assert [shape.comment_id for shape in page.comments] == [str(number) for number in shown]
    assert page.before == (None if is_all else places[shown[0]])
    assert page.is_full == (is_all or len(shown) == limit)


def test_where_nobody_said_where_comments_stand_there_is_no_page_until_those_are_gone() -> None:
    recent = begun(2, from_first=False, knows_places=False)
    recent.add(comment(2), 7, 0)
    assert recent.page(2) is None
    page = recent.page(1)
    assert page is not None
    assert page.before == (20, 7, 0)
