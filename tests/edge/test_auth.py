"""Tokens whose keys are still on their way, and what is remembered of those that were verified."""

from concurrent.futures import Future

import pytest
import trio
import trio.testing

from edge import auth
from edge.auth import Authenticator
from livecomments.errors import Reason, Refusal
from livecomments.token_check import SHARED, CheckingKey, KeysNeeded, TokenCheck
from livecomments.tokens import TokenKey

pytestmark = pytest.mark.anyio

KEY = TokenKey(b"k" * 32, "issuer", "livecomments")
ANN = f"Bearer {KEY.issue('ann', ttl_s=86_400)}"


class LateKeys:
    """IssuerKeys that the test brings, and takes back."""

    def __init__(self) -> None:
        self.revision = 0
        self.fetched: Future[None] = Future()
        self._is_here = False
        self.asked = 0

    def find(self, algorithm: str, kid: str) -> CheckingKey:
        del kid
        self.asked += 1
        if not self._is_here:
            raise KeysNeeded(fetched=self.fetched)
        return CheckingKey(algorithm, KEY.secret)

    def bring(self) -> None:
        self._is_here = True
        self.fetched.set_result(None)

    def take_back(self) -> None:
        self._is_here = False
        self.fetched = Future()
        self.revision += 1


@pytest.fixture
def keys() -> LateKeys:
    return LateKeys()


@pytest.fixture
def authenticator(keys: LateKeys) -> Authenticator:
    return Authenticator(TokenCheck({(KEY.issuer, SHARED): keys}, KEY.audience, 0))


async def test_who_can_not_wait_hears_503(authenticator: Authenticator) -> None:
    with pytest.raises(Refusal) as refused:
        authenticator.identify(ANN)
    assert refused.value.reason is Reason.OVERLOADED


async def test_all_who_wait_go_on_when_the_key_is_here(authenticator: Authenticator, keys: LateKeys) -> None:
    found = []

    async def wait() -> None:
        await authenticator.bring_keys(ANN)
        found.append(authenticator.identify(ANN).user_id)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not found
        await trio.to_thread.run_sync(keys.bring)
    assert found == ["ann"] * 10


async def test_nobody_waits_for_ever(
    authenticator: Authenticator, keys: LateKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "WAIT_S", 0.01)
    await authenticator.bring_keys(ANN)
    with pytest.raises(KeysNeeded):
        authenticator.identify(ANN)
    # One that gave up does not mind the answer.
    await trio.to_thread.run_sync(keys.bring)
    assert authenticator.identify(ANN).user_id == "ann"


async def test_a_bad_token_is_not_waited_for(authenticator: Authenticator) -> None:
    for bad in (None, "Basic x", "Bearer x.y.z", f"Bearer {KEY.issue('ann', ttl_s=-60)}"):
        await authenticator.bring_keys(bad)


async def test_what_was_verified_is_remembered_until_a_key_is_taken_back(
    authenticator: Authenticator, keys: LateKeys
) -> None:
    keys.bring()
    assert authenticator.identify(ANN) is authenticator.identify(ANN)
    assert keys.asked == 1
    keys.take_back()
    with pytest.raises(KeysNeeded):
        authenticator.identify(ANN)


async def test_what_is_remembered_is_bounded(
    authenticator: Authenticator, keys: LateKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "CACHED_MAX", 3)
    keys.bring()
    for number in range(10):
        authenticator.identify(f"Bearer {KEY.issue(f'user-{number}', ttl_s=600)}")
    authenticator.identify(f"Bearer {KEY.issue('user-9', ttl_s=600)}")
    asked = keys.asked
    authenticator.identify(ANN)
    authenticator.identify(ANN)
    assert keys.asked == asked + 1
