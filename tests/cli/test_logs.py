"""Logs of the children: what people should see of them, and that they stay bounded."""

import json
from pathlib import Path

import pytest

from livecomments.cli import logs
from livecomments.cli.logs import Line, LogFile, parse


@pytest.mark.parametrize(
    ("line", "parsed", "notable"),
    [
        (
            '{"event": "nats error", "error": "lost", "level": "warning", "service": "core", "timestamp": "t"}',
            Line("warning", "nats error · error=lost"),
            True,
        ),
        ('{"event": "serving", "level": "info"}', Line("info", "serving"), False),
        ("[7] 2026/01/01 10:00:00.1 [WRN] Slow disk", Line("warning", "Slow disk"), True),
        (
            "[7] 2026/01/01 10:00:00.1 [INF] Server is ready",
            Line("info", "[7] 2026/01/01 10:00:00.1 [INF] Server is ready"),
            False,
        ),
        ("Traceback (most recent call last):", Line("", "Traceback (most recent call last):"), False),
        ("{broken", Line("", "{broken"), False),
    ],
)
def test_a_line_is_shown_when_it_is_a_warning_or_worse(line: str, parsed: Line, notable: bool) -> None:
    assert parse(line) == parsed
    assert parse(line).is_notable is notable


@pytest.mark.parametrize(
    "traceback",
    [
        "Traceback…\n  File x\nValueError: no",
        "  + Exception Group Traceback…\n  +-+--- 1 ---\n    | File x\n    | ValueError: no\n    +-------\n",
    ],
)
def test_an_exception_is_told_by_its_last_line(traceback: str) -> None:
    record = {"event": "a call failed", "level": "error", "exception": traceback}
    assert parse(json.dumps(record)) == Line("error", "a call failed · ValueError: no")


def test_the_logs_of_earlier_runs_are_kept_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "core.log"
    for run in range(5):
        LogFile(path).path.write_text(f"run {run}")
    assert [file.read_text() for file in sorted(path.parent.iterdir())] == ["run 4", "run 3", "run 2", "run 1"]


def test_new_lines_come_once_and_whole(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "core.log")
    with log.path.open("a") as child:
        print("one\ntw", end="", file=child, flush=True)
        first = log.new_lines()
        print("o\n\nthree\n", end="", file=child, flush=True)
        second = log.new_lines()
    assert (first, second, log.new_lines()) == (["one"], ["two", "three"], [])
    assert log.last_lines(2) == ["two", "three"]


def test_a_log_that_grew_too_large_is_put_aside_under_the_childs_feet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOG_MAX_BYTES", 100)
    log = LogFile(tmp_path / "core.log")
    with log.path.open("a") as child:
        print("x" * 200, file=child, flush=True)
        log.new_lines()
        log.bound()
        print("after", file=child, flush=True)
    assert log.path.read_text() == "after\n"
    assert log.new_lines() == ["after"]
    assert (tmp_path / "core.log.1").read_text() == "x" * 200 + "\n"
