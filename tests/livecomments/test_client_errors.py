"""What the clients raise."""

import grpc
import pytest

from livecomments.client import LiveCommentsError, NotConfirmed, Unavailable, errors
from livecomments.errors import Reason, Refusal


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_family(reason: Reason) -> None:
    error = errors.error_of(Refusal(reason, "why", retry_after_ms=250))
    assert type(error) is not LiveCommentsError
    assert (error.reason, error.detail, error.retry_after) == (reason, "why", 0.25)
    assert str(error) == f"{reason}: why"


def test_what_is_in_doubt_is_never_taken_for_what_was_not_done() -> None:
    families = {reason: errors.error_of(Refusal(reason)) for reason in Reason if reason.http_status == 503}
    unsure = [reason for reason, error in families.items() if not isinstance(error, Unavailable)]
    assert unsure == [Reason.NOT_CONFIRMED]
    assert not issubclass(NotConfirmed, Unavailable)


def test_no_error_of_ours_is_one_of_grpcs() -> None:
    assert not issubclass(LiveCommentsError, grpc.RpcError)
