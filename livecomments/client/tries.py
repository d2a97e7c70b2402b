"""How often a call is tried."""

from dataclasses import replace
from typing import Any, cast

import grpc

from livecomments.backoff import Backoff
from livecomments.calls import is_passing
from livecomments.client.call import Call, Rpc
from livecomments.client.errors import LiveCommentsError, error_of
from livecomments.errors import Reason, Refusal

TRY_S = 5.0
"""An answer that takes longer is asked for once more: who was asked may be gone."""


class Tries:
    """The tries of one call until its deadline. Plain code; times are seconds of whatever clock the caller reads."""

    def __init__(self, call: Call[Any], now: float, backoff: Backoff | None = None) -> None:
        self._call = call
        self._deadline = now + call.deadline_s
        self._backoff = backoff or Backoff()
        self._in_doubt = False

    def timeout_s(self, now: float) -> float:
        """How long the next try may take."""
        return max(0.0, min(TRY_S, self._deadline - now))

    def failed(self, error: grpc.RpcError, now: float) -> float:
        """The pause before the next try, seconds. Raises LiveCommentsError when none is of use, or in time."""
        refusal = refusal_of(error, self._call.rpc, self._call.unanswered)
        if not is_passing(refusal):
            raise error_of(refusal) from error
        self._in_doubt = self._in_doubt or refusal.reason is Reason.NOT_CONFIRMED
        pause_s = self._backoff.next_s(least_s=refusal.retry_after_ms / 1000)
        if now + pause_s >= self._deadline:
            # That the last try was not taken says nothing about those before it.
            last = replace(refusal, reason=Reason.NOT_CONFIRMED) if self._in_doubt else refusal
            raise error_of(last, self._call.request_id) from error
        return pause_s


def refusal_of(error: grpc.RpcError, rpc: Rpc, unanswered: Reason) -> Refusal:
    """What a failed call means; ``unanswered`` when nobody of ours has answered.

    Raises ValueError for a service that does not know the method: the address is another service's.
    """
    if cast("grpc.Call", error).code() is grpc.StatusCode.UNIMPLEMENTED:
        raise ValueError(f"the address of {rpc.service} does not serve {rpc.path}: is it another service's?") from error
    return Refusal.from_rpc_error(error, unanswered)


def watch_error(error: grpc.RpcError, rpc: Rpc) -> LiveCommentsError:
    """Why a feed broke off."""
    return error_of(refusal_of(error, rpc, Reason.OVERLOADED))
