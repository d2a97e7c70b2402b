"""Raising the rate of posts until their answers come late."""

from collections.abc import Callable, Sequence

import rounds
from answers import Answers

LIMITS_MS = (50, 250)
"""For p99."""
_TRIES = 2
"""One step too slow may be the doing of others."""

Offer = Callable[[float], tuple[Answers, rounds.Figures]]
"""Posts at a rate, comments/s; the figures are further columns of its row."""


def most_at(limit_ms: int) -> str:
    """The column that says how much was taken."""
    return f"comments/s at p99 < {limit_ms} ms"


def raised(name: str, rates: Sequence[float], offer: Offer) -> rounds.Round:
    """A row for each rate up to the first that is too high, and one for the most that were accepted in time."""
    most = dict.fromkeys(LIMITS_MS, 0.0)
    for rate in rates:
        for _ in range(_TRIES):
            answers, figures = offer(rate)
            if _holds(answers, LIMITS_MS[0]):
                break
        yield f"{name}, {rate:,.0f}/s offered", {**told(answers), **figures}
        for limit_ms in LIMITS_MS:
            if _holds(answers, limit_ms):
                # All of it was taken, and in time: what was offered counts, and not the wait for the last answer.
                most[limit_ms] = max(most[limit_ms], rate)
        if not _holds(answers, LIMITS_MS[-1]):
            break
    yield f"{name}: most", {most_at(limit_ms): found for limit_ms, found in most.items()}


def told(answers: Answers) -> rounds.Figures:
    """What every row says."""
    return {
        "comments/s": answers.per_s,
        "p50 ms": answers.percentile_ms(0.5),
        "p99 ms": answers.percentile_ms(0.99),
        "max ms": answers.percentile_ms(1),
        "faults": answers.faults,
    }


def _holds(answers: Answers, limit_ms: int) -> bool:
    return not answers.faults and answers.percentile_ms(0.99) < limit_ms
