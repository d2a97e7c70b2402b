"""What JetStream must hold is found or made, in whatever state the servers are."""

from collections.abc import Awaitable, Callable, Iterable

import pytest
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServerError, ServiceUnavailableError

from livecomments import ensure as ensuring
from livecomments.ensure import ensure
from livecomments.log import connect, open_log
from livecomments.settings import Settings, SettingsError

pytestmark = pytest.mark.anyio

MISSING = NotFoundError(code=404, err_code=10059, description="stream not found")
IN_USE = BadRequestError(code=400, err_code=10058, description="stream name already in use")
NO_LEADER = ServiceUnavailableError(code=503, err_code=10008, description="system temporarily unavailable")
NO_PEERS = BadRequestError(code=400, err_code=10005, description="no suitable peers for placement")
NO_ROOM = ServerError(code=500, err_code=10047, description="insufficient storage resources available")


def answers(outcomes: Iterable[str | Exception]) -> Callable[[], Awaitable[str]]:
    """A call that has these outcomes, one after the other."""
    following = iter(outcomes)

    async def call() -> str:
        outcome = next(following)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


async def test_what_is_there_is_not_made() -> None:
    assert await ensure("a thing", answers(["found"]), answers([])) == "found"


async def test_what_is_missing_is_made() -> None:
    assert await ensure("a thing", answers([MISSING]), answers(["made"])) == "made"


async def test_what_another_makes_at_the_same_time_is_found_once_it_is_there() -> None:
    assert await ensure("a thing", answers([MISSING, MISSING, "found"]), answers([IN_USE, IN_USE])) == "found"


@pytest.mark.parametrize("trouble", [NO_LEADER, NatsTimeoutError(), NoRespondersError(), ServiceUnavailableError()])
async def test_servers_that_have_no_leader_yet_are_waited_for(trouble: Exception) -> None:
    assert await ensure("a thing", answers([trouble, MISSING, MISSING]), answers([trouble, "made"])) == "made"


async def test_servers_that_do_not_know_each_other_yet_are_waited_for() -> None:
    assert await ensure("a thing", answers([MISSING, MISSING]), answers([NO_PEERS, "made"])) == "made"


async def test_what_will_not_pass_is_not_waited_for() -> None:
    with pytest.raises(ServerError):
        await ensure("a thing", answers([MISSING]), answers([NO_ROOM]))


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensuring, "PATIENCE_S", 0.0)
    with pytest.raises(APIError) as raised:
        await ensure("a thing", answers([NO_LEADER] * 100), answers([]))
    assert raised.value is NO_LEADER


async def test_a_log_grows_with_its_setting_and_never_shrinks_with_it(settings: Settings) -> None:
    def with_room(mib: int) -> Settings:
        return settings.model_copy(update={"log_bytes": mib * 1024 * 1024})

    async with connect(settings, "test") as client:
        js = client.jetstream()
        log = await open_log(js, with_room(2))
        shard = log.shards[0]
        await js.publish(shard.subject("demo"), b"x" * 1_000)
        await open_log(js, with_room(9))
        for mib, has in ((1, 2), (3, 3), (2, 3)):
            assert await open_log(js, with_room(mib), grow_to_bytes=mib * 1024 * 1024) == log
            info = await js.stream_info(shard.name)
            assert info.config.max_bytes == has * 1024 * 1024
            assert info.config.republish is not None
            assert info.state.messages == 1


async def test_copies_of_a_log_that_is_there_on_a_lone_server_are_a_wrong_setting_too(settings: Settings) -> None:
    async with connect(settings, "test") as client:
        await open_log(client.jetstream(), settings)
        with pytest.raises(SettingsError, match="LIVECOMMENTS_LOG_REPLICAS"):
            await open_log(client.jetstream(), settings.model_copy(update={"log_replicas": 3}))


async def test_copies_on_a_lone_server_are_a_wrong_setting(settings: Settings) -> None:
    async with connect(settings, "test") as client:
        with pytest.raises(SettingsError, match="LIVECOMMENTS_LOG_REPLICAS: COMMENTS_0: several copies need a cluster"):
            await open_log(client.jetstream(), settings.model_copy(update={"log_replicas": 3}))
