"""The contract: linted, compatible with the last release, and the generated code is its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import REPOSITORY

BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """What a release of today would look like."""
    shutil.copytree(REPOSITORY / "protos", tmp_path / "protos")
    shutil.copy(REPOSITORY / "buf.yaml", tmp_path)
    return tmp_path


def append(folder: Path, file: str, text: str) -> None:
    with (folder / "protos/livecomments/v1" / file).open("a") as proto:
        proto.write(text)


def test_the_protos_follow_the_standard_rules() -> None:
    lint = run(BIN / "buf", "lint")
    assert (lint.returncode, lint.stdout) == (0, "")


def test_a_break_with_the_last_release_is_found(older: Path) -> None:
    append(older, "comment.proto", "message Gone { string field = 1; }\n")
    breaking = run("scripts/breaking", str(older))
    assert breaking.returncode != 0
    assert '"Gone"' in breaking.stdout


def test_what_the_last_release_did_not_have_breaks_nobody(older: Path) -> None:
    proto = older / "protos/livecomments/v1/comment.proto"
    text = proto.read_text()
    newest = text[text.index("  // When the stream will end, once that was announced") : text.index("enum StreamState")]
    proto.write_text(text.replace(newest, "}\n\n"))
    breaking = run("scripts/breaking", str(older))
    assert (breaking.returncode, breaking.stdout) == (0, "")


def test_a_field_that_disappears_is_found_against_a_release_tag(older: Path) -> None:
    shutil.copytree(REPOSITORY / "scripts", older / "scripts")
    (older / ".venv/bin").mkdir(parents=True)
    (older / ".venv/bin/buf").symlink_to(BIN / "buf")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    run(*git, "init", "-q", cwd=older)
    run(*git, "add", "protos", "buf.yaml", cwd=older)
    run(*git, "commit", "-qm", "first", cwd=older)
    assert "no release yet" in run(older / "scripts/breaking", cwd=older).stdout
    run(*git, "tag", "v0.1.0", cwd=older)
    assert run(older / "scripts/breaking", cwd=older).returncode == 0
    proto = older / "protos/livecomments/v1/comment.proto"
    proto.write_text(proto.read_text().replace("  string author_name = 4;\n", ""))
    breaking = run(older / "scripts/breaking", cwd=older)
    assert breaking.returncode != 0
    assert '"author_name"' in breaking.stdout


def test_the_generated_code_is_that_of_the_protos(tmp_path: Path) -> None:
    generated = run("scripts/generate", str(tmp_path))
    assert generated.returncode == 0, generated.stderr

    def contents(folder: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in (folder / "livecomments/v1").glob("*_pb2*")}

    fresh, committed = contents(tmp_path), contents(REPOSITORY)
    assert fresh.keys() == committed.keys()
    assert [name for name in fresh if fresh[name] != committed[name]] == []
