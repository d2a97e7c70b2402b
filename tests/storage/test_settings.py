"""What storage says to settings that can't work: one line, and nothing started."""

import os
import socket
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


def test_a_cql_server_that_does_not_answer_is_named_in_one_line(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ended = started(data_dir, storage_url=f"cql://127.0.0.1:{port}/comments")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert f"no CQL server answers at 127.0.0.1:{port}" in ended.stderr


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("cql_user", "ann", "CQL_PASSWORD_FILE: is needed"),
        ("cql_tls_ca", "missing.pem", "CQL_TLS_CA, _CERT or _KEY: "),
    ],
)
def test_credentials_that_are_not_there_are_named_in_one_line(
    data_dir: Path, setting: str, value: str, why: str
) -> None:
    ended = started(data_dir, storage_url="cql://127.0.0.1:1/comments", **{setting: value})
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith("setting LIVECOMMENTS_CQL_")
    assert why in ended.stderr


@pytest.mark.parametrize("url", ["postgres://x", "sqlite:///", "comments.db"])
def test_a_database_that_is_not_known_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must be sqlite:///<path>"):
        StorageSettings(storage_url=url)


@pytest.mark.parametrize(
    "rest", ["", "db1", "db1/", "/comments", "db1:port/comments", "db1:65536/comments", "db1:9042,db2/comments"]
)
def test_an_address_of_cql_servers_that_can_not_be_read_is_refused(rest: str) -> None:
    with pytest.raises(ValidationError, match="must be cql://<host>,<host>:<port>/<keyspace>"):
        StorageSettings(storage_url=f"cql://{rest}")


@pytest.mark.parametrize("keyspace", ["Comments", "1st", "a-b", "a" * 49, 'a"; DROP'])
def test_a_keyspace_that_would_need_quotes_is_refused(keyspace: str) -> None:
    with pytest.raises(ValidationError, match="the keyspace in lower case"):
        StorageSettings(storage_url=f"cql://db1/{keyspace}")


def test_cql_servers_are_what_the_address_says() -> None:
    servers = StorageSettings(storage_url="cql://db1,10.0.0.2:9142/comments", cql_data_centre="here").servers()
    assert servers is not None
    assert (servers.hosts, servers.port, servers.keyspace) == (("db1", "10.0.0.2"), 9142, "comments")
    assert servers.data_centre == "here"
    servers = StorageSettings(storage_url="cql://db1/comments").servers()
    assert servers is not None
    assert servers.port == 9042
    assert StorageSettings().servers() is None


def test_what_a_database_can_not_do_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a STORAGE_URL with cql://"):
        StorageSettings(storage_retention_days=30)
    with pytest.raises(ValidationError, match="at most 240 with cql://"):
        StorageSettings(storage_url="cql://db1/comments", log_hours=241)
    assert StorageSettings(log_hours=241).log_hours == 241


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


def test_migrating_an_sqlite_file_says_what_it_did(data_dir: Path) -> None:
    def migrated(*command: str) -> str:
        env = {**os.environ, "LIVECOMMENTS_DATA_DIR": str(data_dir)}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True).stdout

    file = data_dir / "comments.db"
    program = str(Path(sys.executable).parent / "livecomments")
    assert migrated(program, "storage", "migrate") == f"{file}: schema version 1, was 0\n"
    assert migrated(sys.executable, "-m", "storage.migrate") == f"{file}: schema version 1 already\n"
