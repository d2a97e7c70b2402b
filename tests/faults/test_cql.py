"""The whole system over CQL: two storages, and a server that asks for a password and a certificate, speaks TLS, and is
killed.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from storage.cql.servers import Servers
from storage.cql.session import connect, disconnect
from tests.certificates import make_certificate
from tests.cql.server import START_S, CqlServer, require_server
from tests.posting import Posting, check_once
from tests.processes import eventually
from tests.system import System
from tests.viewers import Viewer, follow

pytestmark = pytest.mark.timeout(500)
"""Everything starts here, a CQL server first."""

ON = 60
"""Comments that are to be accepted before the next thing happens."""
SECURED = """
authenticator: PasswordAuthenticator
authorizer: AllowAllAuthorizer
role_manager: CassandraRoleManager
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  keystore: {keystore}
  truststore: {truststore}
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CqlServer, dict[str, str]]]:
    """A server, and the settings of those who may use it."""
    require_server()
    folder: Path = tmp_path_factory.mktemp("cql")
    certificate, ours = make_certificate(folder, "cql"), make_certificate(folder, "storage")
    keystore = folder / "keystore.pem"
    keystore.write_text(certificate.key.read_text() + certificate.cert.read_text())
    password = folder / "password"
    password.write_text("cassandra\n")
    with CqlServer(folder / "server", SECURED.format(keystore=keystore, truststore=ours.cert)) as server:
        # Made by the server itself, when it starts for the first time.
        eventually(lambda: "Created default superuser role" in server.output.read_text(), "there is a user", 60)
        settings = {
            "storage_url": f"cql://127.0.0.1:{server.port}/comments",
            "cql_user": "cassandra",
            "cql_password_file": str(password),
            "cql_tls_ca": str(certificate.cert),
            "cql_tls_cert": str(ours.cert),
            "cql_tls_key": str(ours.key),
        }
        migrate(folder, settings)
        yield server, settings


def migrate(folder: Path, settings: dict[str, str]) -> None:
    """As an operator does."""
    command = [Path(sys.executable).parent / "livecomments", "storage", "migrate", "--data", folder]
    env = {**os.environ, **{f"LIVECOMMENTS_{name.upper()}": value for name, value in settings.items()}}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=100)
    database = settings["storage_url"].removeprefix("cql://")
    assert (ended.stdout, ended.stderr) == (f"{database}: schema version 1, was 0\n", "")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, secured: tuple[CqlServer, dict[str, str]]) -> Iterator[System]:
    limits = {"core_user_rate": "0", "edge_address_rate": "0"}
    with System(tmp_path_factory.mktemp("system"), storages=2, **limits, **secured[1]) as running:
        yield running


def test_a_comment_comes_back_in_the_replay_until_it_is_deleted(system: System) -> None:
    stream = system.create_stream()
    posted = [system.post(stream, f"comment {number}") for number in range(5)]
    stored = system.stored(stream, lambda comments: len(comments) == 5)
    assert [comment["comment_id"] for comment in stored] == [answer["comment_id"] for answer in posted]
    assert system.replay(stream, limit=2) == stored
    gone = posted[2]["comment_id"]
    answer = system.request("DELETE", f"/v1/streams/{stream}/comments/{gone}", token=system.token("host", role="host"))
    assert answer.status_code == 204, answer.text
    left = system.stored(stream, lambda comments: len(comments) == 4)
    assert left == [comment for comment in stored if comment["comment_id"] != gone]
    system.end_stream(stream)

    def is_complete() -> bool:
        page = system.request("GET", f"/v1/streams/{stream}/comments?start_time=0&duration=60").json()
        return bool(page["complete"]) and page["comments"] == left

    eventually(is_complete, "the replay is complete")


def test_a_database_that_is_killed_under_posts_costs_no_comment(
    system: System, secured: tuple[CqlServer, dict[str, str]]
) -> None:
    server, _ = secured
    stream = system.create_stream()
    with ExitStack() as leaving:
        viewers = [leaving.enter_context(system.watch(stream)) for _ in range(2)]
        _post_through_an_outage(system, server, stream, viewers)


def _post_through_an_outage(system: System, server: CqlServer, stream: str, viewers: list[Viewer]) -> None:
    def goes_on(what: str) -> None:
        enough = len(posting.accepted) + ON
        follow(viewers, lambda: len(posting.accepted) >= enough, f"{what}: posting goes on")
        ids = set(list(posting.accepted)[:enough])
        follow(viewers, lambda: all(ids <= set(viewer.ids()) for viewer in viewers), f"{what}: the feed goes on")

    def replay_status() -> int:
        return system.request("GET", f"/v1/streams/{stream}/comments?start_time=0&duration=60").status_code

    with Posting(system, stream) as posting:
        goes_on("before")
        eventually(lambda: replay_status() == 200 and system.replay(stream), "something is stored")
        server.kill()
        goes_on("without the database")
        assert replay_status() == 503
        goes_on("still without it")
        server.begin()
        # They read on meanwhile: who does not is cut one day.
        follow(viewers, server.serves, "the database serves again", START_S)
        goes_on("with the database")
    eventually(lambda: replay_status() == 200, "the replay is back", 60)
    check_once(system, posting, viewers)


def test_a_wrong_password_is_named_in_one_line(
    system: System, secured: tuple[CqlServer, dict[str, str]], tmp_path: Path
) -> None:
    _, settings = secured
    wrong = tmp_path / "password"
    wrong.write_text("guessed")
    process = system.service("storage", "-wrong", **{**settings, "cql_password_file": str(wrong)})
    with pytest.raises(AssertionError, match="ended with 2"), process:
        pass
    assert process.output.read_text() == (
        "setting LIVECOMMENTS_CQL_USER: the servers refuse this user or its password\n"
    )


def known_as(server: CqlServer, settings: dict[str, str]) -> Servers:
    """How a client with all that is asked for reaches it."""
    files = {name: Path(settings[f"cql_{name}"]) for name in ("password_file", "tls_ca", "tls_cert", "tls_key")}
    return Servers(("127.0.0.1",), server.port, "comments", user="cassandra", **files)


def test_a_server_that_another_authority_vouches_for_is_told_nothing(
    secured: tuple[CqlServer, dict[str, str]], tmp_path: Path
) -> None:
    servers = known_as(*secured)
    disconnect(connect(servers))
    other = make_certificate(tmp_path, "other")
    with pytest.raises(ConnectionError, match="certificate verify failed"):
        connect(replace(servers, tls_ca=other.cert))


@pytest.mark.parametrize("which", ["none", "another"])
def test_who_shows_the_server_no_certificate_that_it_trusts_is_let_in_nowhere(
    secured: tuple[CqlServer, dict[str, str]], tmp_path: Path, which: str
) -> None:
    other = make_certificate(tmp_path, "other")
    shown = {"none": (None, None), "another": (other.cert, other.key)}[which]
    with pytest.raises(ConnectionError, match="no CQL server answers"):
        connect(replace(known_as(*secured), tls_cert=shown[0], tls_key=shown[1]))
