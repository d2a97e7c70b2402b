"""The commands of those who use the system, each run as a user runs it."""

import json
import math
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecomments.cli import CommandError
from livecomments.cli.bench import percentile, require_loopback
from livecomments.cli.exits import failure
from livecomments.cli.instance import Instance, hold
from livecomments.client import (
    Conflict,
    InvalidRequest,
    LiveCommentsError,
    NotConfirmed,
    NotFound,
    RateLimited,
    Reason,
    Unavailable,
)
from tests.cli.terminal import COMMAND, environment, livecomments
from tests.processes import eventually
from tests.system import System


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that the command finds by its data folder."""
    data_dir = tmp_path_factory.mktemp("instance")
    with System(data_dir, core_user_rate="0", edge_address_rate="0") as running, hold(data_dir):
        addresses = running.core.address, running.fanout.address, running.storage.address
        Instance(running.url, *addresses, running.nats.url).save(data_dir)
        yield running


def records(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_streams_are_created_listed_and_ended(instance: System) -> None:
    at = ("--data", instance.data_dir)
    made = livecomments("streams", "create", "The [red]final[/]", "--id", "listed", "--user", "eve", *at)
    assert (made.code, made.out) == (0, "listed is live\n")
    table = livecomments("streams", *at)
    assert "The [red]final[/]" in next(line for line in table.out.splitlines() if line.startswith("listed"))
    assert "\x1b" not in table.out
    foreign = livecomments("streams", "end", "listed", "--user", "mallory", *at)
    assert (foreign.code, foreign.out) == (1, "")
    assert foreign.err.startswith("livecomments: FORBIDDEN")
    ended = livecomments("streams", "end", "listed", "--user", "eve", "--json", *at)
    assert records(ended.out)[0]["state"] == "STREAM_STATE_ENDED"
    listed = records(livecomments("streams", "--state", "ended", "--json", *at).out)
    assert "listed" in [stream["stream_id"] for stream in listed]
    assert {stream["state"] for stream in listed} == {"STREAM_STATE_ENDED"}


def test_a_post_gives_its_id_or_all_of_it(instance: System) -> None:
    stream, at = instance.create_stream(), ("--data", instance.data_dir)
    assert len(livecomments("post", stream, "one", *at).out) == len("019aa3f0-5a3c-7b1e-8000-000000000001\n")
    posted = records(livecomments("post", stream, "two", "--user", "ann", "--json", *at).out)[0]
    assert posted["comment"]["text"] == "two"  # type: ignore[index]
    assert posted["cursor"]
    nowhere = livecomments("post", "nowhere", "one", *at)
    assert (nowhere.code, len(nowhere.err.splitlines())) == (1, 1)
    assert livecomments("post", stream, " ", *at).code == 2


def test_tail_begins_where_it_is_told_and_ends_with_the_stream(instance: System) -> None:
    stream, at = instance.create_stream(), ("--data", instance.data_dir)
    first = instance.post(stream, "one")
    instance.post(stream, "two")
    instance.stored(stream, lambda comments: len(comments) == 2)
    instance.end_stream(stream)
    resumed = livecomments("tail", stream, "--since", str(first["cursor"]), "--json", *at)
    assert resumed.code == 0
    events = records(resumed.out)
    assert [event["event"] for event in events] == ["snapshot", "new_comment", "stream_ended"]
    assert "two" in resumed.out
    assert "one" not in resumed.out
    spanned = livecomments("tail", stream, "--since", "10m", *at)
    assert spanned.code == 0
    assert [line.split()[-1] for line in spanned.out.splitlines() if line.endswith((" one", " two"))] == ["one", "two"]
    assert livecomments("tail", stream, "--since", "yesterday", *at).code == 2


def test_ctrl_c_ends_a_tail_without_a_word(instance: System, tmp_path: Path) -> None:
    stream = instance.create_stream()
    shown = tmp_path / "shown"
    with shown.open("wb") as output:
        tail = subprocess.Popen(
            [COMMAND, "tail", stream, "--data", instance.data_dir],
            env=environment(),
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "A test" in shown.read_text(), "the tail shows its stream", 60)
        tail.send_signal(signal.SIGINT)
        assert tail.wait(30) == 130
    finally:
        tail.kill()
        tail.wait()
    assert len(shown.read_text().splitlines()) == 1


def test_a_replay_plays_what_is_stored_in_the_order_of_its_moments(instance: System) -> None:
    stream = instance.create_stream()
    instance.post(stream, "late to the goal")
    instance.post(stream, "at the goal", lag_ms=60_000)
    instance.stored(stream, lambda comments: len(comments) == 2)
    instance.end_stream(stream)
    fast = ("--speed", "100000", "--data", instance.data_dir)
    played = records(livecomments("replay", stream, "--json", *fast).out)
    assert [comment["text"] for comment in played] == ["at the goal", "late to the goal"]
    assert played[0]["shown_at_ms"] == 0
    people = livecomments("replay", stream, *fast)
    assert people.code == 0
    assert people.out.splitlines()[0].startswith("A test  0:0")
    assert "late to the goal" in people.out
    assert "\x1b" not in people.out
    assert livecomments("replay", stream, "--from", "soon", *fast).code == 2


def test_a_bench_leaves_figures_and_no_live_stream(instance: System) -> None:
    at = ("--data", instance.data_dir)
    found = livecomments("bench", "--rate", "20", "--seconds", "0.5", "--watchers", "2", "--json", *at)
    assert found.code == 0, found.err
    answered, seen, wrong = records(found.out)
    assert (answered["measured"], answered["count"]) == ("answered", 10)
    assert (seen["measured"], seen["count"]) == ("seen", 20)
    assert 0 < float(str(seen["p50"])) <= float(str(seen["p99"])) <= float(str(seen["max"]))
    assert wrong == {"refused": {}, "missed": 0}
    assert found.err == ""
    live = instance.request(
        "GET", "/v1/streams?state=live&limit=500", token=instance.token("bench", role="host")
    ).json()["streams"]
    assert [stream for stream in live if stream["title"] == "Bench"] == []


def test_a_bench_of_another_machine_must_be_wanted() -> None:
    require_loopback(["127.0.0.1:7101", "[::1]:7201", "localhost:1"], is_sure=False)
    require_loopback(["192.0.2.1:7101"], is_sure=True)
    with pytest.raises(CommandError, match="is not this machine") as refused:
        require_loopback(["127.0.0.1:7101", "core.example:7101"], is_sure=False)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound(Reason.STREAM_NOT_FOUND), 1),
        (Conflict(Reason.STREAM_ENDED), 1),
        (RateLimited(Reason.USER_RATE), 1),
        (InvalidRequest(Reason.INVALID_FIELD), 2),
        (Unavailable(Reason.OVERLOADED), 3),
        (NotConfirmed(Reason.NOT_CONFIRMED), 4),
    ],
)
def test_exit_codes_tell_what_to_do(error: LiveCommentsError, code: int) -> None:
    assert failure(error).exit_code == code


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert percentile([7.0], 0.5) == 7.0
    assert math.isnan(percentile([], 0.5))


def test_a_shell_completes_commands() -> None:
    asked = {"_LIVECOMMENTS_COMPLETE": "complete_bash", "COMP_WORDS": "livecomments st", "COMP_CWORD": "1"}
    assert set(livecomments(env=asked).out.split()) == {"storage", "streams"}


@pytest.mark.parametrize("command", [("tail",), ("post",), ("replay",), ("bench",), ("streams",), ("streams", "end")])
def test_help_shows_examples(command: tuple[str, ...]) -> None:
    shown = livecomments(*command, "--help")
    assert "Examples" in shown.out
    assert f"livecomments {' '.join(command)}" in shown.out.split("Examples")[1]
