"""The three ways of saying 503, each with a jittered time to try again."""

import random

from livecomments.errors import Reason, Refusal


def overloaded(detail: str) -> Refusal:
    """It was not taken."""
    return Refusal(Reason.OVERLOADED, detail, retry_after_ms=_soon_ms())


def not_confirmed() -> Refusal:
    """It is in doubt: it may stand in the log, or come to stand there."""
    detail = "it is not known whether this was committed: repeat it with the same request_id"
    return Refusal(Reason.NOT_CONFIRMED, detail, retry_after_ms=_soon_ms())


def draining() -> Refusal:
    """It was not taken here: this process is about to end, another one takes it."""
    return Refusal(Reason.DRAINING, "this core is about to end", retry_after_ms=_soon_ms())


def _soon_ms() -> int:
    return random.randint(500, 2_000)
