"""What was deleted stays gone and who was banned stays out, whichever part is killed the moment it was answered."""

from collections.abc import Callable, Iterator

import pytest

from livecomments.errors import Reason
from tests.e2e.test_errors import refused
from tests.faults.test_kills import kill_core, kill_edge, kill_fanout, kill_nats, kill_storage
from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer, follow


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own, whose parts may be killed."""
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    with System(tmp_path_factory.mktemp("moderation"), **limits) as running:
        yield running


def rule(system: System, method: str, path: str) -> None:
    """As the host, until it is answered: a 503 is to be repeated."""
    token = system.token("host", role="host")

    def once() -> bool:
        answer = system.request(method, path, token=token)
        assert answer.status_code in (204, 503), answer.text
        return answer.status_code == 204

    eventually(once, f"{method} {path} is answered")


def kill_all(system: System) -> None:
    for part in (system.nats, system.core, system.storage, system.fanout, system.edge):
        part.kill()
    for part in (system.nats, system.storage, system.core, system.fanout, system.edge):
        part.start()


def recent(system: System, stream: str) -> list[str]:
    def found() -> list[dict[str, str]] | None:
        answer = system.request("GET", f"/v1/streams/{stream}/comments/recent")
        return answer.json()["comments"] if answer.status_code == 200 else None

    return [comment["comment_id"] for comment in eventually(found, "the latest comments")]


@pytest.mark.parametrize("kill", [kill_core, kill_storage, kill_fanout, kill_nats, kill_edge, kill_all])
def test_a_deletion_and_a_ban_survive_whatever_is_killed_once_they_are_answered(
    mortal: System, kill: Callable[[System], None]
) -> None:
    mortal.ready()
    stream = mortal.create_stream()
    keep = mortal.post_until_accepted(stream, "keep")["comment_id"]
    drop = mortal.post_until_accepted(stream, "drop", user="troll")["comment_id"]
    mortal.stored(stream, lambda comments: len(comments) == 2)
    page = f"/v1/streams/{stream}/comments?start_time=0&duration=3600&limit=1"
    page_token = mortal.request("GET", page).json()["next_pagination_token"]
    with mortal.watch(stream) as viewer:
        rule(mortal, "PUT", f"/v1/streams/{stream}/bans/troll")
        rule(mortal, "DELETE", f"/v1/streams/{stream}/comments/{drop}")
        kill(mortal)
        mortal.ready()
        # Never taken, not even at first: an answer of 503 says nothing.
        eventually(lambda: _is_banned(mortal, stream, "troll"), "the ban holds")
        follow([viewer], lambda: drop in _deleted(viewer), "who watches is told")
        last = mortal.post_until_accepted(stream, "last")["comment_id"]
        follow([viewer], lambda: last in viewer.ids(), "the feed goes on")
    stored = mortal.stored(stream, lambda comments: comments and comments[-1]["comment_id"] == last)
    assert [comment["comment_id"] for comment in stored] == [keep, last], "the replay"
    assert recent(mortal, stream) == [keep, last], "the latest comments"
    rest = mortal.request("GET", f"{page}&pagination_token={page_token}").json()
    assert [comment["comment_id"] for comment in rest["comments"]] == [last], "page tokens survive, too"
    with mortal.watch(stream) as late:
        assert late.ids() == [keep, last], "the snapshot"


def _is_banned(system: System, stream: str, user: str) -> bool:
    answer = system.try_post(stream, "me again", user=user)
    if answer.status_code == 503:
        return False
    refused(answer, Reason.BANNED)
    return True


def _deleted(viewer: Viewer) -> list[str]:
    return [event.data["comment_id"] for event in viewer.events if event.name == "delete_comment"]
