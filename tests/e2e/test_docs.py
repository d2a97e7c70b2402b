"""The README's first steps and the pages that need nothing but a running system, by their commands."""

import json
import re

from livecomments.cli.instance import Instance, hold
from tests.commands import bash
from tests.processes import REPOSITORY, eventually
from tests.system import System
from tests.texts import examples

ANSWERS = re.compile(r'\{"comment_id":"[^"]*","posted_at":[^}]*\}')


def commands(page: str, *, under: str = "") -> str:
    """All of a page, or of one of its sections, in order."""
    return "\n".join(examples(page, "bash", under=under))


def shown(system: System, script: str) -> str:
    """What commands print, run in one shell of the checkout."""
    at = "http://127.0.0.1:8080"
    assert at in script
    script = script.replace(at, system.url)
    # curl ends with 28 where --max-time cuts a feed that has no end; true: such a one may be a page's last command.
    return bash(f"{script}\ntrue", REPOSITORY, LIVECOMMENTS_DATA_DIR=str(system.data_dir))


def test_the_first_steps_show_what_they_say(system: System) -> None:
    output = shown(system, commands("README.md", under="Try it"))
    assert '"reason"' not in output, output
    assert '"title":"The final"' in output
    first_answer, second_answer, *_ = ANSWERS.findall(output)
    assert first_answer == second_answer, "the repeat got the first answer"
    first, resumed = output.split("retry: ")[1:3]
    assert '"text":"What a goal!"' in first
    resumed, ended = resumed.split('{"stream_id":"final","title":"The final","state":"ended"')
    assert '"recovered":true' in resumed
    assert '"text":"missed"' in resumed
    assert '"text":"seen"' not in resumed
    assert '"through_cursor":' in ended
    replay = eventually(lambda: complete_replay(system, "final"), "the replay is complete")
    assert [comment["text"] for comment in replay] == ["What a goal!", "seen", "missed"]


def complete_replay(system: System, stream_id: str) -> list[dict[str, str]] | None:
    """The first hour, once the store holds the stream's end."""
    page = system.request("GET", f"/v1/streams/{stream_id}/comments?duration=3600").json()
    return page["comments"] if page["complete"] else None


def test_the_tour_shows_what_it_says(system: System) -> None:
    output = shown(system, commands("docs/tour.md"))
    first, second, *_ = ANSWERS.findall(output)
    assert first == second, "the repeat got the first answer"
    assert "HTTP/1.1 202" in output
    reasons = re.findall(r'"reason":"([A-Z_]+)"', output)
    assert reasons == ["KEY_REUSED", "INVALID_FIELD", "SLOW_MODE", "BANNED", "STREAM_ENDED"]
    assert {"#/text", "#/lag_ms"} <= set(re.findall(r'"pointer":"([^"]*)"', output))
    seen, resumed = output.split("retry: ")[1:3]
    assert "Here they come!" in seen
    resumed, polled = resumed.split('{"events"')
    assert "said while you were away" in resumed
    assert "Here they come!" not in resumed
    polled = polled.split('"slow_mode_s":600')[0]
    assert "said while you were away" in polled
    assert '"poll_after_ms":' in polled
    assert "HTTP/1.1 429" in output
    assert re.search(r"(?i)retry-after: \d", output)
    assert '"next_pagination_token":' in output
    replay = eventually(lambda: complete_replay(system, "opening"), "the replay is complete")
    assert "oops" not in [comment["text"] for comment in replay], "what was deleted is gone"


def test_many_streams_come_on_one_connection(system: System) -> None:
    output = shown(system, commands("docs/many-streams.md"))
    assert '"streams":["quarterfinal","semifinal"]' in output
    assert 'data: {"stream_id":"quarterfinal","data":{"stream":{"stream_id":"quarterfinal"' in output
    assert re.search(r'data: {"stream_id":"semifinal","data":.*"text":"Kick-off!"', output)


def test_a_feed_comes_by_grpc_web(system: System) -> None:
    by_hand = commands("docs/grpc-web.md")
    # Another id of four letters: other tests have a stream of that name.
    assert by_hand.count("demo") == 1
    system.create_stream("hand", title="Watched by hand")
    system.post("hand", "Hello, phones")
    output = shown(system, by_hand.replace("demo", "hand"))
    assert re.search(r"hand.*Watched by hand.*Hello, phones", output)


def test_the_terminal_shows_what_it_says(system: System) -> None:
    folder = system.data_dir
    with hold(folder):
        addresses = system.core.address, system.fanout.address, system.storage.address
        Instance(system.url, *addresses, system.nats.url).save(folder)
        (script,) = examples("docs/terminal.md", "bash")
        first, live, read = re.split("^(?=livecomments streams create|livecomments tail)", script, flags=re.MULTILINE)
        output = bash(f"set -e\n{first}{live}", REPOSITORY, LIVECOMMENTS_DATA_DIR=str(folder))
        # What is read comes from the store, which has it a moment later.
        system.stored("cup", lambda comments: len(comments) == 1)
        output += bash(f"set -e\n{first}{read}", REPOSITORY, LIVECOMMENTS_DATA_DIR=str(folder))
    assert output.startswith("cup is live\n")
    assert re.search(r"^cup +live +The cup", output, re.MULTILINE)
    assert re.search(r"^answered +5 ", output, re.MULTILINE)
    assert re.search(r"ann  What a goal!", output)
    assert json.loads(output.splitlines()[-1])["text"] == "What a goal!"
