"""A replay's order and pace, by a clock that only moves when it is slept on."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecomments.cli import CommandError
from livecomments.cli.playing import LAG_MAX_MS, in_shown_order, play, shown_at_ms
from livecomments.cli.times import clock_of, place_s, span_s
from livecomments.v1.comment_pb2 import Comment


class FakeClock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Stored:
    """Comments as storage has them, in the log's order; remembers up to where it was read."""

    def __init__(self, comments: Iterable[Comment]) -> None:
        self.comments = sorted(comments, key=lambda comment: comment.offset_ms)
        self.read_to_ms = 0

    def read(self, from_ms: int, to_ms: int) -> list[Comment]:
        self.read_to_ms = to_ms
        return [comment for comment in self.comments if from_ms <= comment.offset_ms < to_ms]


def comment(offset_ms: int, lag_ms: int = 0) -> Comment:
    return Comment(text=f"{offset_ms}", offset_ms=offset_ms, lag_ms=lag_ms)


def played(comments: list[Comment], *, start_ms: int = 0, speed: float = 1) -> list[tuple[float, str]]:
    """When each was shown, seconds after the beginning."""
    clock, seen = FakeClock(), list[tuple[float, str]]()
    shown = in_shown_order(Stored(comments).read, start_ms, 10_000_000)
    play(
        shown,
        clock,
        start_ms=start_ms,
        speed=speed,
        show=lambda one: seen.append((round(clock.at - 1000, 6), one.text)),
        reach=lambda _: None,
    )
    return seen


def test_each_comment_comes_at_its_moment() -> None:
    assert played([comment(1_000), comment(61_500)]) == [(1.0, "1000"), (61.5, "61500")]


def test_twice_as_fast_takes_half_the_time() -> None:
    assert played([comment(1_000), comment(61_500)], speed=2) == [(0.5, "1000"), (30.75, "61500")]


def test_who_was_behind_live_is_shown_at_the_moment_that_they_saw() -> None:
    assert played([comment(10_000), comment(12_000, lag_ms=5_000)]) == [(7.0, "12000"), (10.0, "10000")]


def test_who_was_behind_live_is_waited_for_over_the_end_of_a_window() -> None:
    # A window holds five minutes.
    assert [text for _, text in played([comment(299_000), comment(300_500, LAG_MAX_MS)])] == ["300500", "299000"]


def test_what_was_shown_before_the_beginning_is_left_out() -> None:
    assert played([comment(10_000), comment(20_500, lag_ms=1_000), comment(25_000)], start_ms=20_000) == [
        (5.0, "25000")
    ]


def test_the_position_is_told_while_nothing_comes() -> None:
    clock, told = FakeClock(), list[int]()
    play([comment(2_000)], clock, start_ms=0, speed=1, show=lambda _: None, reach=told.append)
    assert told == [0, 500, 1_000, 1_500, 2_000]


@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, LAG_MAX_MS)), max_size=30))
def test_all_come_once_in_the_order_of_their_moments(made: list[tuple[int, int]]) -> None:
    comments = [comment(*one) for one in made]
    shown = list(in_shown_order(Stored(comments).read, 0, 2_000_001))
    moments = [shown_at_ms(one) for one in shown]
    assert moments == sorted(map(shown_at_ms, comments))
    assert sorted(one.text for one in shown) == sorted(one.text for one in comments)


def test_no_more_is_read_than_must_be() -> None:
    stored = Stored([comment(1_000), comment(9_000_000)])
    next(in_shown_order(stored.read, 0, 10_000_000))
    assert stored.read_to_ms < 1_000_000


@pytest.mark.parametrize(("text", "seconds"), [("75", 75), ("1:15", 75), ("0:01:15", 75), ("1:02:03.5", 3723.5)])
def test_a_place_is_written_as_players_show_it(text: str, seconds: float) -> None:
    assert place_s(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1:", "-1", "1:2:3:4"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="is no time"):
        place_s(text)


def test_spans_and_clocks() -> None:
    assert [span_s(text) for text in ("90s", "10m", "2h", "e-1", "10")] == [90, 600, 7200, None, None]
    assert [clock_of(ms) for ms in (0, 75_000, 3_723_500)] == ["0:00", "1:15", "1:02:03"]
