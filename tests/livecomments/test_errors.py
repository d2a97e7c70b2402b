"""A refusal on its way from service to service: nothing of it is lost."""

import pytest

from livecomments.errors import FieldError, RateLimit, Reason, Refusal, invalid
from livecomments.v1 import comment_service_pb2 as pb

TWO = (FieldError("text", "must be short"), FieldError("lag_ms", "must be 0 to 60000"))


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(Reason.STREAM_NOT_FOUND, "there is no such stream"),
        Refusal(Reason.INVALID_FIELD, fields=TWO[:1]),
        Refusal(Reason.INVALID_FIELD, fields=TWO),
        Refusal(Reason.USER_RATE, "too fast", retry_after_ms=700, rate_limit=RateLimit("user", 10, 10)),
    ],
    ids=str,
)
def test_an_ingested_item_is_refused_for_the_same_reasons(refusal: Refusal) -> None:
    again = Refusal.from_problem(pb.Problem.FromString(refusal.to_problem().SerializeToString()))
    assert (again.reason, again.detail, again.fields) == (refusal.reason, refusal.detail, refusal.fields)
    assert (again.retry_after_ms, again.rate_limit) == (refusal.retry_after_ms, refusal.rate_limit)


def test_a_core_that_names_one_field_only_is_understood() -> None:
    problem = pb.Problem(reason="INVALID_FIELD", field="text", detail="must be short")
    assert Refusal.from_problem(problem).fields == TWO[:1]


def test_a_status_says_in_words_what_is_wrong_with_each_field() -> None:
    told = Refusal(Reason.INVALID_FIELD, fields=TWO).to_status().details
    assert told == "text: must be short; lag_ms: must be 0 to 60000"
    assert invalid("text", "must be short").to_status().details == "text: must be short"
