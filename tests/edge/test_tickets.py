"""Tickets: good for one errand, for some seconds, and for whoever they were given to."""

import base64
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.tickets import Purpose, Tickets
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1.comment_service_pb2 import ROLE_MODERATOR, ROLE_VIEWER

TICKETS = Tickets.of("service-token-of-one-installation")
NOW = 1_800_000_000.0
ANN = Identity("ann", "Ann", ROLE_MODERATOR, frozenset({"final", "other"}), NOW + 600)
TICKET = TICKETS.give(ANN, "final", Purpose.FEED, NOW + 30)

texts = st.text(st.characters(codec="utf-8"), max_size=128)
purposes = st.sampled_from(Purpose)


def why_not(ticket: str, stream_id: str = "final", purpose: Purpose = Purpose.FEED, *, now: float = NOW) -> str:
    with pytest.raises(Refusal) as refused:
        TICKETS.take(ticket, stream_id, purpose, now)
    assert refused.value.reason is Reason.UNAUTHENTICATED
    assert len(ticket) < 20 or ticket not in str(refused.value)
    return refused.value.detail


def test_a_ticket_says_who_it_was_given_to_and_only_what_concerns_its_stream() -> None:
    found = TICKETS.take(TICKET, "final", Purpose.FEED, NOW)
    assert found == Identity("ann", "Ann", ROLE_MODERATOR, frozenset({"final"}), ANN.expires_at)
    stranger = TICKETS.give(ANN, "third", Purpose.FEED, NOW + 30)
    assert TICKETS.take(stranger, "third", Purpose.FEED, NOW).streams == frozenset()


@given(texts, texts, st.text(string.ascii_letters, min_size=1, max_size=64), purposes)
def test_a_ticket_fits_into_an_address(user: str, name: str, stream_id: str, purpose: Purpose) -> None:
    identity = Identity(user, name, ROLE_VIEWER, frozenset(), NOW + 600.5)
    ticket = TICKETS.give(identity, stream_id, purpose, NOW + 30.25)
    assert TICKETS.take(ticket, stream_id, purpose, NOW) == identity
    assert set(ticket) <= set(string.ascii_letters + string.digits + "-_")
    assert len(ticket) < 4_096


def test_a_ticket_is_good_for_one_errand_until_its_end() -> None:
    assert "something else" in why_not(TICKET, "other")
    assert "something else" in why_not(TICKET, purpose=Purpose.SUBSCRIBE)
    assert TICKETS.take(TICKET, "final", Purpose.FEED, NOW + 29.9).user_id == "ann"
    assert "expired" in why_not(TICKET, now=NOW + 30)


def test_a_ticket_of_another_installation_is_refused() -> None:
    other = Tickets.of("service-token-of-another-installation")
    assert "not one of this system" in why_not(other.give(ANN, "final", Purpose.FEED, NOW + 30))


@given(st.data(), st.integers(1, 255))
def test_a_ticket_with_one_byte_changed_is_refused(data: st.DataObject, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(TICKET + "=" * (-len(TICKET) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= change
    why_not(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text() | st.text(string.ascii_letters + string.digits + "-_=", max_size=400))
def test_whatever_comes_as_a_ticket_is_refused_and_no_more(ticket: str) -> None:
    why_not(ticket, now=time.time())
