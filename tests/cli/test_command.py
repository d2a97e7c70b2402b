"""The command itself: help, tokens, and what it says when something is amiss."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livecomments.errors import Refusal
from livecomments.local import make_secrets
from livecomments.settings import Settings
from livecomments.token_check import check_of
from livecomments.v1.comment_service_pb2 import ROLE_MODERATOR
from tests.cli.terminal import livecomments


def test_help_lists_every_command() -> None:
    shown = livecomments("--help")
    assert shown.code == 0
    for command in ("up", "core", "fanout", "storage", "edge", "token", "post", "tail"):
        assert f"│ {command} " in shown.out


def test_help_needs_no_service() -> None:
    program = "import sys, livecomments.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert not {"trio", "pydantic", "grpc", "structlog", "jwt"} & set(loaded.stdout.split())


def test_a_token_is_the_instances_own(data_dir: Path) -> None:
    made = livecomments(
        *("token", "--user", "ann", "--name", "Ann", "--role", "moderator", "--ttl", "60"),
        *("--stream", "a", "--stream", "b", "--data", data_dir),
    )
    assert made.code == 0
    assert made.out == made.out.strip() + "\n"
    bearer = check_of(Settings(data_dir=data_dir).token_key()).verify(made.out.strip())
    assert (bearer.user_id, bearer.name, bearer.role) == ("ann", "Ann", ROLE_MODERATOR)
    assert bearer.streams == {"a", "b"}


def test_a_token_of_one_instance_is_foreign_to_another(data_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_secrets(other)
    made = livecomments("token", "--user", "ann", "--data", data_dir)
    with pytest.raises(Refusal):
        check_of(Settings(data_dir=other).token_key()).verify(made.out.strip())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("token", "--user", "ann", "--data", "nowhere"), "nowhere holds no key"),
        (("post", "demo", "hi", "--data", "nowhere"), "no instance runs on nowhere"),
        (("tail", "demo", "--data", "nowhere"), "no instance runs on nowhere"),
    ],
)
def test_a_missing_instance_is_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    shown = livecomments(*arguments, cwd=tmp_path)
    assert shown.code == 2
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err


def test_an_instance_that_was_killed_is_not_found(data_dir: Path) -> None:
    (data_dir / "instance.json").write_text(json.dumps({}))
    (data_dir / "instance.lock").write_text(str(os.getpid()))
    assert "no instance runs" in livecomments("post", "demo", "hi", "--data", data_dir).err


def test_a_token_that_could_not_be_used_is_not_made(data_dir: Path) -> None:
    shown = livecomments("token", "--user", "x" * 200, "--data", data_dir)
    assert shown.code == 2
    assert "claim sub" in shown.err


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("LIVECOMMENTS_CORE_USER_RAT", "5", "did you mean LIVECOMMENTS_CORE_USER_RATE"),
        ("LIVECOMMENTS_CORE_USER_RATE", "fast", "LIVECOMMENTS_CORE_USER_RATE"),
        ("LIVECOMMENTS_NATS_URL", "nats://127.0.0.1:4222", "chooses this itself"),
    ],
)
def test_a_setting_that_up_cannot_use_is_one_line(tmp_path: Path, setting: str, value: str, said: str) -> None:
    shown = livecomments("up", "--port", "0", "--data", tmp_path / "data", env={setting: value})
    assert shown.code == 2
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err
    assert not (tmp_path / "data").exists()


def test_a_key_that_is_too_short_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    env = {"LIVECOMMENTS_SERVICE_TOKEN_FILE": str(tmp_path / "short")}
    shown = livecomments("up", "--port", "0", "--data", tmp_path / "data", env=env)
    assert shown.code == 2
    assert len(shown.err.splitlines()) == 1
    assert "LIVECOMMENTS_SERVICE_TOKEN_FILE" in shown.err


def test_a_data_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shown = livecomments("up", "--port", "0", "--data", tmp_path / "file" / "data")
    assert shown.code == 2
    assert len(shown.err.splitlines()) == 1
    assert "can't be written" in shown.err


def test_a_data_folder_that_another_instance_holds_is_one_line(tmp_path: Path) -> None:
    with (tmp_path / "instance.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        shown = livecomments("up", "--port", "0", "--data", tmp_path)
    assert shown.code == 2
    assert len(shown.err.splitlines()) == 1
    assert "4711" in shown.err
