"""When viewers have to go."""

import math
import sys

from hypothesis import given
from hypothesis import strategies as st

from edge.expiry import FOREVER, JITTER, Departures, Ending, Stay, stay_from


@given(st.floats(0, 1), st.floats(1, 1e6))
def test_a_connection_grows_as_old_as_it_may_a_tenth_more_or_less(chance: float, max_age_s: float) -> None:
    planned = stay_from(100.0, max_age_s, math.inf, chance)
    assert planned.ending is Ending.AGE
    assert (1 - JITTER) * max_age_s - 1e-6 <= planned.until - 100.0 <= (1 + JITTER) * max_age_s + 1e-6


def test_a_token_that_ends_sooner_ends_the_connection() -> None:
    assert stay_from(100.0, 3600, 60, 0.5) == Stay(160.0, Ending.TOKEN)
    assert stay_from(100.0, 3600, 1e9, 0.5) == Stay(3700.0, Ending.AGE)
    assert stay_from(100.0, 0, 60, 0.5) == Stay(160.0, Ending.TOKEN)


def test_without_a_limit_and_a_token_it_stays_for_ever() -> None:
    assert stay_from(100.0, 0, math.inf, 0.5).until == math.inf
    departures = Departures(100.0)
    departures.plan(7, FOREVER)
    assert len(departures) == 0
    assert departures.due(1e7) == {}


def test_each_goes_in_its_second_never_before_it() -> None:
    departures = Departures(100.5)
    departures.plan(1, Stay(101.2, Ending.AGE))
    departures.plan(2, Stay(101.9, Ending.TOKEN))
    departures.plan(3, Stay(103.0, Ending.AGE))
    assert departures.due(101.95) == {}
    assert departures.due(102.0) == {1: Ending.AGE, 2: Ending.TOKEN}
    assert departures.due(102.5) == {}
    assert departures.due(110.0) == {3: Ending.AGE}
    assert len(departures) == 0


def test_one_whose_token_has_ended_already_goes_at_once() -> None:
    departures = Departures(100.0)
    assert departures.due(105.5) == {}
    departures.plan(1, Stay(90.0, Ending.TOKEN))
    assert departures.due(106.0) == {1: Ending.TOKEN}


def test_a_number_that_serves_another_viewer_does_not_go_in_its_place() -> None:
    departures = Departures(0.0)
    departures.plan(1, Stay(10.0, Ending.AGE))
    departures.forget(1)
    departures.forget(1)
    departures.plan(1, Stay(20.0, Ending.AGE))
    assert departures.due(10.0) == {}
    assert departures.due(20.0) == {1: Ending.AGE}


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 50), st.booleans())))
def test_what_is_forgotten_leaves_nothing_behind(steps: list[tuple[int, float, bool]]) -> None:
    departures = Departures(0.0)
    planned: dict[int, float] = {}
    for viewer, until, stays in steps:
        departures.forget(viewer)
        planned.pop(viewer, None)
        if stays:
            departures.plan(viewer, Stay(until, Ending.AGE))
            planned[viewer] = until
    assert len(departures) == len(planned)
    assert departures.due(25.0).keys() == {viewer for viewer, until in planned.items() if math.ceil(until) <= 25}
    assert departures.due(60.0).keys() == {viewer for viewer, until in planned.items() if math.ceil(until) > 25}
    assert departures.__dict__["_leaving"] == {}


def test_a_viewer_costs_little() -> None:
    departures = Departures(0.0)
    for viewer in range(10_000):
        departures.plan(viewer, stay_from(0.0, 3600, math.inf, (viewer * 7919 % 10_000) / 10_000))
    seconds, leaving = departures.__dict__["_seconds"], departures.__dict__["_leaving"]
    size = sys.getsizeof(seconds) + sum(map(sys.getsizeof, seconds.values()))
    size += sys.getsizeof(leaving) + sum(map(sys.getsizeof, leaving.values()))
    assert size / 10_000 < 150
