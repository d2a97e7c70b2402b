"""What ``tail`` shows."""

import json

import pytest

from livecomments.cli.views import JsonLines, Terminal, printable
from livecomments.client import CommentDeleted, CommentsPosted, Disconnected, Reason, Snapshot, Unavailable
from livecomments.v1.comment_pb2 import Comment, Stream


def snapshot(*, gap: bool = False, recovered: bool = False) -> Snapshot:
    return Snapshot(Stream(title="Demo"), (), "e-1", 3, degraded=False, recovered=recovered, gap=gap)


POSTED = CommentsPosted((Comment(author_name="Ann", text="hi"), Comment(author_name="Bob", text="ho")), "e-2")
LOST = Disconnected(Unavailable(Reason.OVERLOADED, "away"), 0.5)


def test_a_comment_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07c\x9bd\u202ee\nf é 👩‍🚀") == "a[2Jbcde\nf é 👩‍🚀"


def test_people_see_comments_and_lost_connections_once(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    for event in (snapshot(), POSTED, LOST, LOST, snapshot(recovered=True), LOST, snapshot(gap=True)):
        terminal.show(event)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split("  ", 1)[-1].strip() for line in shown] == [
        "3 watching",
        "Ann  hi",
        "Bob  ho",
        "— connection lost (OVERLOADED: away); trying again … —",
        "— connected again, nothing was missed —",
        "— connection lost (OVERLOADED: away); trying again … —",
        "— connected again, but comments may be missing here —",
    ]


def test_programs_get_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    for event in (snapshot(), POSTED, CommentDeleted("x", "e-3"), LOST):
        JsonLines().show(event)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[0]["event"] == "snapshot"
    assert records[0]["stream"] == {"title": "Demo"}
    assert records[1]["event"] == "new_comment"
    assert records[1]["cursor"] == "e-2"
    assert [comment["text"] for comment in records[1]["comments"]] == ["hi", "ho"]
    assert records[2] == {"event": "delete_comment", "comment_id": "x", "cursor": "e-3"}
    assert records[3] == {"event": "disconnected", "why": "OVERLOADED: away", "retry_s": 0.5}
