"""When an issuer's keys are good, and when they are asked for again. The clock is the test's."""

import json

import pytest

from livecomments.key_ring import KeyRing, Missing, Patience
from livecomments.key_sets import KeySet, read_key_set
from livecomments.token_check import CheckingKey
from tests.issuer import private_key, public_jwk

PATIENCE = Patience(refresh_s=300, stale_s=3600, ask_every_s=10)


def keys(*kids: str, of: str = "") -> KeySet:
    jwks = [public_jwk(private_key("EdDSA", of or kid), kid=kid) for kid in kids]
    return read_key_set(json.dumps({"keys": jwks}).encode())


@pytest.fixture
def ring() -> KeyRing:
    """Told of key a at second 0."""
    ring = KeyRing(PATIENCE)
    ring.told(keys("a"), 0)
    return ring


def has(ring: KeyRing, kid: str, now: float) -> bool:
    return isinstance(ring.find("EdDSA", kid, now), CheckingKey)


def test_a_ring_that_was_told_nothing_asks_at_once() -> None:
    ring = KeyRing(PATIENCE)
    assert ring.due_at < 0
    assert ring.find("EdDSA", "a", 0) is Missing.ASK


def test_keys_are_asked_for_again_in_time(ring: KeyRing) -> None:
    assert has(ring, "a", 299)
    assert ring.due_at == 300


def test_an_unknown_kid_asks_once_in_a_while_whatever_it_is(ring: KeyRing) -> None:
    assert ring.find("EdDSA", "b", 1) is Missing.ASK
    ring.asks(1)
    ring.told(keys("a"), 1.1)
    assert {ring.find("EdDSA", f"random-{number}", 2) for number in range(1_000)} == {Missing.UNKNOWN}
    assert ring.find("EdDSA", "b", 10.9) is Missing.UNKNOWN
    assert ring.find("EdDSA", "b", 11) is Missing.ASK


def test_a_new_key_is_good_once_it_was_asked_for(ring: KeyRing) -> None:
    assert ring.find("EdDSA", "b", 1) is Missing.ASK
    ring.asks(1)
    ring.told(keys("a", "b"), 1.1)
    assert has(ring, "b", 1.2)
    assert has(ring, "a", 1.2)


def test_a_known_kid_of_another_algorithm_is_unknown(ring: KeyRing) -> None:
    ring.asks(0)
    assert ring.find("RS256", "a", 1) is Missing.UNKNOWN


@pytest.mark.parametrize("told", [keys("b"), keys("a", of="another key")], ids=["taken out", "replaced"])
def test_a_key_that_was_taken_back_is_good_no_more_and_what_it_verified_is_forgotten(
    ring: KeyRing, told: KeySet
) -> None:
    before, key = ring.revision(300), ring.find("EdDSA", "a", 300)
    ring.told(told, 300)
    assert ring.find("EdDSA", "a", 300) != key
    assert ring.revision(300) != before


def test_a_key_that_is_added_makes_nobody_forget(ring: KeyRing) -> None:
    before = ring.revision(300)
    ring.told(keys("a", "b"), 300)
    assert ring.revision(300) == before


def test_keys_are_good_for_a_while_when_they_cannot_be_had_anew(ring: KeyRing) -> None:
    before = ring.revision(3600)
    for second in range(300, 3600, 100):
        ring.failed(second)
    assert has(ring, "a", 3600)
    ring.asks(3600)
    assert ring.find("EdDSA", "b", 3600) is Missing.UNREACHABLE, "it may be a new one"
    assert not has(ring, "a", 3601)
    assert ring.find("EdDSA", "a", 3601) is Missing.UNREACHABLE
    assert ring.revision(3601) != before
    ring.told(keys("a"), 3700)
    assert has(ring, "a", 3701)


def test_failures_are_followed_by_pauses_that_grow_and_stay_below_the_usual_one(ring: KeyRing) -> None:
    pauses = []
    for _ in range(6):
        ring.failed(300)
        pauses.append(ring.due_at - 300)
    assert pauses == [10, 20, 40, 80, 80, 80]
    quick = KeyRing(Patience(refresh_s=5, stale_s=60))
    quick.failed(0)
    assert quick.due_at == 5
    ring.told(keys("a"), 400)
    ring.failed(700)
    assert ring.due_at == 710
