"""The cursor of a session: one text for each set of places, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.composite import LENGTH_MAX, CompositeCursor, MovingCursor
from livecomments.cursor import BadCursor, Cursor

stream_ids = st.text("abzAZ09_-", min_size=1, max_size=64)
cursors = st.builds(Cursor, st.text("abz09", min_size=1, max_size=32), st.integers(0, 2**64 - 1))
places = st.dictionaries(stream_ids, st.none() | cursors, max_size=6)


@given(places)
def test_a_cursor_comes_back_as_it_was(given: dict[str, Cursor | None]) -> None:
    text = str(CompositeCursor(given))
    assert CompositeCursor.parse(text).places == given
    assert text
    assert text.isascii()
    assert not set(text) & set(" \t\r\n,;%&+#?")


@given(
    places, st.lists(st.tuples(st.sampled_from(["move", "move_on", "add", "drop"]), stream_ids, cursors), max_size=12)
)
def test_a_moving_cursor_is_always_the_cursor_of_where_it_stands(
    given: dict[str, Cursor | None], steps: list[tuple[str, str, Cursor]]
) -> None:
    moving, stands = MovingCursor(given), dict(given)
    for step, stream_id, cursor in steps:
        known = stream_id if stream_id in stands or not stands else min(stands)
        match step:
            case "move" if known in stands:
                stands[known] = cursor
                moving.move(known, str(cursor).encode())
            case "move_on" if (before := stands.get(known)) is not None:
                stands[known] = Cursor(before.epoch, cursor.seq)
                moving.move(known, str(stands[known]).encode())
            case "drop" if known in stands:
                del stands[known]
                moving.drop(known)
            case "add" if stream_id not in stands:
                stands[stream_id] = None
                moving.add(stream_id)
        assert moving.text().decode() == str(CompositeCursor(stands))
        assert len(moving) == len(stands)


@given(st.text("ab~.:-0123", max_size=24) | st.text(max_size=24))
def test_a_text_is_refused_or_is_the_one_text_of_its_cursor(text: str) -> None:
    try:
        parsed = CompositeCursor.parse(text)
    except BadCursor:
        return
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab-5",
        "a",
        "~~",
        "a~~ab.b:1",
        "b.a~",
        "a.a~",
        "a~ab.a:1",
        "~ab.b:1.a:1",
        "~ab.a:1.a:2",
        "~b.a:1~a.b:1",
        "~a.a:1~a.b:1",
        "~ab.a:01",
        "~ab.a:-1",
        "~ab.a:18446744073709551616",
        "~ab.a:",
        "~ab",
        "~AB.a:1",
        "~ab.a:1~",
        "~ab.a:1\n",
        "~ab.a:\u0661",
        "~ab." + "x" * 65 + ":1",
        ".".join(sorted(f"s{number:060}" for number in range(LENGTH_MAX // 60))) + "~",
    ],
)
def test_what_is_not_a_cursor_of_ours_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        CompositeCursor.parse(text)


def test_the_longest_cursor_of_a_hundred_streams_fits() -> None:
    places = {f"{number:064}": Cursor("e" * 32, 2**64 - 1) for number in range(100)}
    assert len(str(CompositeCursor(places))) <= LENGTH_MAX
