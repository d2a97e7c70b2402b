"""How far the database is behind, and how much of a full log has to go: plain figures."""

import pytest

from storage.lag import Lag
from storage.trim import messages_in_the_way

MB = 1024 * 1024


def test_a_database_that_has_everything_is_not_behind() -> None:
    lag = Lag()
    assert (lag.messages, lag.seconds(100.0)) == (0, 0.0)
    lag.at_hand(1, 40.0, 0)
    lag.wrote(1, 40.0)
    lag.seen(1, 1, None)
    assert (lag.messages, lag.seconds(100.0)) == (0, 0.0)


def test_what_is_at_hand_and_what_follows_it_is_not_written_until_it_is() -> None:
    lag = Lag()
    lag.at_hand(5, 40.0, 10)
    assert (lag.messages, lag.seconds(43.0)) == (11, 3.0)
    lag.wrote(9, 42.0)
    assert (lag.messages, lag.seconds(43.0)) == (6, 1.0)


def test_the_lag_grows_while_nothing_is_written() -> None:
    lag = Lag()
    lag.at_hand(5, 40.0, 0)
    lag.seen(4, 20, None)
    assert lag.knows(5)
    assert (lag.messages, lag.seconds(50.0)) == (16, 10.0)
    assert lag.seconds(60.0) == 20.0


def test_who_looks_from_outside_brings_the_age_of_what_no_writer_has_at_hand() -> None:
    lag = Lag()
    lag.wrote(4, 10.0)
    assert not lag.knows(5)
    lag.seen(4, 7, (5, 90.0))
    assert (lag.messages, lag.seconds(100.0)) == (3, 10.0)


def test_a_rewind_is_a_lag_again() -> None:
    lag = Lag()
    lag.wrote(9, 90.0)
    lag.seen(2, 9, (3, 30.0))
    assert (lag.messages, lag.seconds(100.0)) == (7, 70.0)


@pytest.mark.parametrize(
    ("messages", "size", "max_bytes", "in_the_way"),
    [
        (0, 0, 100 * MB, 0),
        (1000, 89 * MB, 100 * MB, 0),
        (1000, 100 * MB, 100 * MB, 200),
        (1000, 95 * MB, 100 * MB, 158),
        # A small log has room for a few of core's largest batches, or all that it has is in the way.
        (10, 1 * MB, 4 * MB, 0),
        (10, 3 * MB, 4 * MB, 10),
        (7, 1 * MB, 1 * MB, 7),
        (1000, 100 * MB, -1, 0),
    ],
)
def test_a_log_that_is_nearly_full_gets_twice_the_room_that_it_lacks(
    messages: int, size: int, max_bytes: int, in_the_way: int
) -> None:
    assert messages_in_the_way(messages, size, max_bytes) == in_the_way
