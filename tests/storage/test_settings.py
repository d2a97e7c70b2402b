"""What storage says to settings that can't work: one line, and nothing started."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from storage.settings import StorageSettings


def started(data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LIVECOMMENTS_DATA_DIR": str(data_dir)}
    env |= {f"LIVECOMMENTS_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "storage"], env=env, capture_output=True, text=True, timeout=30, check=False
    )


def test_scylladb_is_refused_in_one_line(data_dir: Path) -> None:
    ended = started(data_dir, storage_url="cql://db1,db2/comments")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith("setting LIVECOMMENTS_STORAGE_URL: ")
    assert "cql:// is not supported by this version" in ended.stderr


@pytest.mark.parametrize("url", ["postgres://x", "sqlite:///", "comments.db"])
def test_a_database_that_is_not_known_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must be sqlite:///<path>"):
        StorageSettings(storage_url=url)


def test_a_database_that_cannot_be_opened_is_refused_in_one_line(data_dir: Path) -> None:
    ended = started(data_dir, storage_url=f"sqlite:///{data_dir}/missing/comments.db")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "missing/comments.db: unable to open database file" in ended.stderr


def test_a_database_of_a_later_version_is_left_alone(data_dir: Path) -> None:
    database = sqlite3.connect(data_dir / "comments.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    ended = started(data_dir)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "its schema is version 99" in ended.stderr


def test_the_database_lies_in_the_data_folder_unless_told_otherwise() -> None:
    assert StorageSettings(data_dir=Path("there")).database_file() == Path("there/comments.db")
    assert StorageSettings(storage_url="sqlite:///here.db").database_file() == Path("here.db")
    assert StorageSettings(storage_url="sqlite:////abs/here.db").database_file() == Path("/abs/here.db")
