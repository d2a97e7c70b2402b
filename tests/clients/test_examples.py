"""Clients in other languages: generated, compiled, and used on the whole system, by their pages' commands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.toolchains import BUILD_S, Checkout, require
from tests.commands import terminal
from tests.processes import Process, eventually
from tests.system import System
from tests.texts import examples

PAGE, GO_PAGE = "examples/README.md", "docs/go.md"
(WHERE,) = examples(PAGE, "bash", under="Generate, and run")
pytestmark = pytest.mark.timeout(BUILD_S + 200)


def posts_and_watches(system: System, checkout: Checkout, language: str, text: str) -> None:
    """Runs a page's commands; ``text`` is what they post, to ``demo``."""
    (script,) = examples(PAGE, "bash", under=language)
    stream = system.create_stream(title=f"For {language}")
    checkout.beside(system)
    assert script.count("demo") == 1
    watching, posted, told = checkout.run(WHERE + script.replace("demo", stream)).splitlines()[-3:]
    assert watching == f"watching For {language}"
    assert posted.startswith("posted ")
    assert told == f"seen {text}"


def test_go_posts_and_watches(system: System, tmp_path: Path) -> None:
    require("go")
    posts_and_watches(system, Checkout("go", tmp_path), "Go", "Hello from Go")


def test_typescript_posts_and_watches(system: System, tmp_path: Path) -> None:
    require("node")
    require("npm")
    posts_and_watches(system, Checkout("typescript", tmp_path), "TypeScript", "Hello from TypeScript")


def test_java_is_generated(tmp_path: Path) -> None:
    require("mvn")
    checkout = Checkout("java", tmp_path)
    checkout.run(*examples(PAGE, "bash", under="Java"))
    made = checkout.example / "target/generated-sources/com/livecomments/v1"
    assert {"Comment.java", "CommentServiceGrpc.java", "FeedServiceGrpc.java"} <= {path.name for path in made.iterdir()}


def test_no_registrys_host_is_in_the_lock_files() -> None:
    lock = (Path(__file__).parents[2] / "examples/typescript/package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "integrity" in lock


def test_the_how_to_for_go_keeps_its_place_and_repeats_what_passes(system: System, tmp_path: Path) -> None:
    require("go")
    checkout = Checkout("go", tmp_path)
    files = ("reasons.go", "post.go", "watch.go", "main.go")
    for name, text in zip(files, examples(GO_PAGE, "go"), strict=True):
        (checkout.example / name).write_text(text)
    (script,) = examples(GO_PAGE, "bash")
    build, _, run = script.partition("bin/follow -core")
    assert run.count("demo") == 1
    stream = system.create_stream(title="For Go", slow_mode_s=1)
    with system.service("fanout", "-of-go") as fanout:
        checkout.beside(system, fanout.address)
        checkout.run(build)
        where = "".join(line for line in build.splitlines(keepends=True) if "=$(" in line or line.startswith("cd "))

        def follower(name: str) -> Process:
            line = f"{where}bin/follow -core{run.replace('demo', stream)}"
            return terminal(name, line, checkout.folder, "bin/follow", **checkout.variables)

        with follower("follower") as following:
            says = telling(following)
            says("ann: Hello from Go")
            # The second came too fast, and was repeated.
            says("SLOW_MODE")
            says("ann: And again")
            fanout.kill()
            says("the feed is lost")
            system.post(stream, "while it was away", user="bob")
            fanout.start()
            says("bob: while it was away")
            system.end_stream(stream)
            eventually(lambda: following.popen and following.popen.poll() is not None, "it ends with the stream")
            assert following.popen
            assert following.popen.returncode == 0
            shown = [line for line in following.output.read_text().splitlines() if line.startswith(("ann:", "bob:"))]
            assert shown == ["ann: Hello from Go", "ann: And again", "bob: while it was away"]
        with follower("late") as late:
            eventually(lambda: late.popen and late.popen.poll() is not None, "what is over is not repeated")
            assert '"Hello from Go" was refused: STREAM_ENDED' in late.output.read_text()


def telling(process: Process) -> Callable[[str], None]:
    """Waits until the process has printed a text."""

    def says(text: str) -> None:
        eventually(
            lambda: process.alive() and text in process.output.read_text(),
            f"{process.name} says {text!r}",
            60,
        )

    return says
