"""Tokens of an issuer that publishes its keys: good on every way in, at every service, no longer than its keys."""

from collections.abc import Iterator

import pytest

from livecomments.errors import Reason
from tests.issuer import NAME, Issuer
from tests.processes import eventually
from tests.system import System
from tests.ways import READ, WRITE

WAYS = {**READ, **WRITE}
REFRESH_S = 1


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.add("ed")
        running.add("rsa", "RS256")
        running.add("ec", "ES256")
        yield running


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[System]:
    """One that takes this issuer's tokens besides its own."""
    with System(
        tmp_path_factory.mktemp("system"),
        core_user_rate="0",
        edge_address_rate="0",
        edge_jwks_url=f"{NAME}={issuer.url}",
        edge_jwks_refresh_s=str(REFRESH_S),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def private(system: System) -> str:
    return system.create_stream(visibility="private")


def fetches(system: System) -> list[float]:
    """Of each service."""
    return [
        service.metric(f'livecomments_jwks_fetches_total{{issuer="{NAME}",outcome="fetched"}}')
        for service in (system.edge, system.core, system.fanout, system.storage)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_takes_an_issuers_tokens(system: System, issuer: Issuer, private: str, way: str) -> None:
    knock = WAYS[way]
    tokens = [issuer.token("ann", kid=kid, streams=[private]) for kid in ("ed", "rsa", "ec")]
    tokens.append(system.token("ann", streams=(private,)))
    assert [knock(system, private, token) for token in tokens] == [None] * 4
    assert knock(system, private, issuer.token("eve")) is Reason.FORBIDDEN
    if way == "a stream added to events":
        return  # without a good token there are no events that it could be added to
    foreign = issuer.token("ann", iss="https://evil.example", streams=[private])
    confused = issuer.token("ann", kid="ed", signed_by="ec", streams=[private])
    assert [knock(system, private, token) for token in (foreign, confused)] == [Reason.UNAUTHENTICATED] * 2


def test_a_new_key_is_soon_good_on_every_way_in(system: System, issuer: Issuer, private: str) -> None:
    issuer.add("new")
    token = issuer.token("ann", kid="new", streams=[private])
    for way in WAYS:
        # Each service asks but once in ten seconds: whatever asked before, the next refresh brings it.
        eventually(lambda w=way: WAYS[w](system, private, token) is None, f"the new key is good: {way}")


def test_unknown_keys_make_no_service_fetch_more_than_it_would(system: System, issuer: Issuer, private: str) -> None:
    for number in range(30):
        issuer.add(f"never-{number}")
    tokens = [issuer.token("ann", kid=f"never-{number}", streams=[private]) for number in range(30)]
    for number in range(30):
        issuer.withdraw(f"never-{number}")
    before = issuer.fetches
    told = {WAYS[way](system, private, token) for token in tokens for way in ("post", "replay", "Watch", "PostComment")}
    assert told == {Reason.UNAUTHENTICATED}
    # Without a bound it would be one for each of 120; refreshes go on meanwhile, however long that takes.
    assert issuer.fetches - before < 60


def test_a_key_that_was_taken_back_is_soon_good_no_more(system: System, issuer: Issuer, private: str) -> None:
    issuer.add("lost")
    token = issuer.token("ann", kid="lost", streams=[private])
    ways = ("subscribe", "post", "replay", "Watch", "PostComment")
    for way in ways:
        eventually(lambda w=way: WAYS[w](system, private, token) is None, "the key is good")
    issuer.withdraw("lost")
    for way in ways:
        eventually(lambda w=way: WAYS[w](system, private, token) is Reason.UNAUTHENTICATED, "it is so no longer")


def test_tokens_are_good_while_the_issuer_is_down(system: System, issuer: Issuer, private: str) -> None:
    token = issuer.token("ann", streams=[private])
    issuer.stop()
    try:
        before = fetches(system)
        assert {WAYS[way](system, private, token) for way in WAYS} == {None}
        unheard_of = issuer.token("ann", kid="ed", streams=[private])
        assert WAYS["Watch"](system, private, unheard_of) is None
        log = system.edge.output
        eventually(lambda: "keys can't be fetched" in log.read_text(), "the edge says that it can't fetch keys")
        assert token.rpartition(".")[2] not in log.read_text()
    finally:
        issuer.start()
    eventually(
        lambda: all(now > then for now, then in zip(fetches(system), before, strict=True)), "all fetch them again"
    )
