"""The consumer of the log that docs/moderation.md shows, run as it stands there against the whole system."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import nats
import pytest

from livecomments.errors import Reason
from tests.commands import terminal, with_environment
from tests.e2e.test_errors import refused
from tests.processes import Process, eventually
from tests.system import System
from tests.texts import examples
from tests.viewers import Viewer

PAGE = "docs/moderation.md"
(RUN,) = examples(PAGE, "sh")
MODERATE, LAG = examples(PAGE, "python")


@pytest.fixture
def folder(system: System, tmp_path: Path) -> Path:
    """The data folder of an instance, as ``up`` leaves it."""
    (tmp_path / "secrets").symlink_to(system.data_dir / "secrets")
    with_environment(tmp_path)
    (tmp_path / "instance.json").write_text(json.dumps({"nats": system.nats.url, "core": system.core.address}))
    return tmp_path


def moderator(folder: Path, name: str = "moderation") -> Process:
    """The program, under the name of its consumer."""
    (folder / "moderate.py").write_text(MODERATE.replace('"moderation"', f'"{name}"'))
    return terminal(name, RUN.replace("darn,heck", "flarn,groop"), folder, LIVECOMMENTS_DATA_DIR=str(folder))


def said(process: Process, text: str) -> None:
    """Returns once the program has printed it."""
    eventually(lambda: process.alive() and text in process.output.read_text(), f"{process.name} says: {text}")


def deleted(viewer: Viewer) -> list[str]:
    return [event.data["comment_id"] for event in viewer.events if event.name == "delete_comment"]


def is_asked_for(url: str) -> bool:
    """Somebody waits for what comes next. nats-server notices by and by that one who did was killed."""

    async def waiting() -> int:
        async with await nats.connect(url) as client:
            return (await client.jetstream().consumer_info("COMMENTS_0", "moderation")).num_waiting or 0

    return asyncio.run(waiting()) > 0


def lag(folder: Path) -> str:
    environment = {**os.environ, "LIVECOMMENTS_DATA_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", LAG], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_bad_comment_vanishes_everywhere_and_its_author_is_banned(system: System, folder: Path) -> None:
    stream = system.create_stream()
    with system.watch(stream) as viewer:
        with moderator(folder) as running:
            said(running, "following shard 0")
            good = system.post(stream, "what a goal")
            bad = system.post(stream, "what a FLARN goal", user="troll")
            viewer.until(lambda v: deleted(v) == [bad["comment_id"]], "it vanishes from the screen")
            said(running, f"deleted {bad['comment_id']} and banned troll")
            refused(system.try_post(stream, "me again", user="troll"), Reason.BANNED)
            with system.watch(stream) as late:
                assert late.ids() == [good["comment_id"]]
            system.stored(stream, lambda comments: [c["comment_id"] for c in comments] == [good["comment_id"]])
            eventually(
                lambda: lag(folder) == "to come: 0 given and not acknowledged: 0", "all of the log is acknowledged"
            )
        eventually(lambda: not is_asked_for(system.nats.url), "nats-server has noticed that it was killed")
        while_away = system.post(stream, "groop", user="imp")
        assert lag(folder) == "to come: 1 given and not acknowledged: 0"
        with moderator(folder):
            viewer.until(lambda v: deleted(v) == [bad["comment_id"], while_away["comment_id"]], "where it left off")
        # Everything once more, as when it died before it could acknowledge.
        with moderator(folder, "afresh") as again:
            said(again, f"deleted {while_away['comment_id']} and banned imp")
            assert "will try again" not in again.output.read_text()
        last = system.post(stream, "last")
        viewer.until(lambda v: last["comment_id"] in v.ids(), "the last comment")
        assert deleted(viewer) == [bad["comment_id"], while_away["comment_id"]], "each was deleted once"
        texts = [comment["text"] for comment in system.stored(stream, lambda comments: len(comments) >= 2)]
        assert texts == ["what a goal", "last"]
