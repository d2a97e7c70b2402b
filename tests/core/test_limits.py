"""How often one user may post."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits import UserLimits, UserRate
from livecomments.errors import RateLimit, Reason, Refusal

START_MS = 1_700_000_000_000


def post(limits: UserLimits, user: str, at_ms: int, slow_mode_s: int = 0) -> Refusal | None:
    try:
        limits.admit(user, None, at_ms, slow_mode_s)
    except Refusal as refusal:
        return refusal
    limits.charge((user,), at_ms)
    return None


@given(st.lists(st.integers(0, 3_000), max_size=80), st.sampled_from([0.5, 1, 3, 7]), st.integers(1, 10))
def test_in_any_span_no_more_is_taken_than_the_burst_and_what_refills(
    gaps: list[int], per_s: float, burst: int
) -> None:
    limits = UserLimits(UserRate(per_s, burst))
    at_ms, taken = START_MS, []
    for gap in gaps:
        at_ms += gap
        refusal = post(limits, "ann", at_ms)
        if refusal is None:
            taken.append(at_ms)
        else:
            assert refusal.reason is Reason.USER_RATE
            assert refusal.retry_after_ms >= 1
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - taken[first]) * per_s / 1000 + 0.01


@given(st.integers(1, 20), st.integers(0, 900))
def test_who_waits_as_long_as_told_is_taken_and_not_a_moment_sooner(burst: int, late_ms: int) -> None:
    limits = UserLimits(UserRate(1, burst))
    for _ in range(burst):
        assert post(limits, "ann", START_MS) is None
    refusal = post(limits, "ann", START_MS + late_ms)
    assert refusal is not None
    assert refusal.rate_limit == RateLimit("user", burst, burst)
    at_ms = START_MS + late_ms + refusal.retry_after_ms
    assert post(limits, "ann", at_ms - 1) is not None
    assert post(limits, "ann", at_ms) is None


def test_one_users_posts_do_not_count_for_another() -> None:
    limits = UserLimits(UserRate(1, 1))
    assert post(limits, "ann", START_MS) is None
    assert post(limits, "bob", START_MS) is None
    assert post(limits, "ann", START_MS) is not None


def test_rate_zero_lifts_the_limit_but_not_slow_mode() -> None:
    limits = UserLimits(UserRate(0, 1))
    assert all(post(limits, "ann", START_MS) is None for _ in range(100))
    refusal = post(limits, "ann", START_MS + 400, slow_mode_s=5)
    assert refusal is not None
    assert refusal.reason is Reason.SLOW_MODE
    assert refusal.retry_after_ms == 4_600
    assert refusal.rate_limit == RateLimit("slow_mode", 1, 5)
    assert post(limits, "ann", START_MS + 5_000, slow_mode_s=5) is None


def test_a_refusal_costs_nothing() -> None:
    limits = UserLimits(UserRate(1, 1))
    assert post(limits, "ann", START_MS) is None
    for at_ms in range(START_MS, START_MS + 1_000, 100):
        assert post(limits, "ann", at_ms) is not None
    assert post(limits, "ann", START_MS + 1_000) is None


def test_those_who_may_post_freely_again_are_forgotten() -> None:
    limits = UserLimits(UserRate(1, 10))
    for number in range(1_000):
        post(limits, f"user{number}", START_MS + number)
    limits.forget(START_MS + 1_500, 0)
    assert len(limits) == 499
    limits.forget(START_MS + 3_000, 10)
    assert len(limits) == 499, "slow mode still holds them"
    limits.forget(START_MS + 20_000, 10)
    assert len(limits) == 0


def test_memory_is_bounded() -> None:
    limits = UserLimits(UserRate(0.001, 10), users_max=100)
    for number in range(1_000):
        post(limits, f"user{number}", START_MS)
        limits.forget(START_MS, 0)
    assert len(limits) == 100
    assert limits.full_at("user0") is None
    assert limits.full_at("user999") is not None


@pytest.mark.parametrize(("per_s", "burst", "window_s"), [(1, 10, 10), (2, 5, 3), (0.5, 1, 2)])
def test_the_policy_says_how_many_in_which_window(per_s: float, burst: int, window_s: int) -> None:
    limits = UserLimits(UserRate(per_s, burst))
    refusal = None
    while refusal is None:
        refusal = post(limits, "ann", START_MS)
    assert refusal.rate_limit == RateLimit("user", burst, window_s)
