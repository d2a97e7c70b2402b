"""The whole system on a nats-server that lets in nobody without a creds file and a certificate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.nats_accounts import Accounts
from tests.processes import NatsServer
from tests.system import System


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[System]:
    files = tmp_path / "files"
    files.mkdir()
    server, client, accounts = make_certificate(files, "server"), make_certificate(files, "client"), Accounts()
    tls = f'tls {{ cert_file: "{server.cert}", key_file: "{server.key}", ca_file: "{client.cert}", verify: true }}\n'
    settings = {
        "nats_creds": accounts.write_credentials(files / "services.creds"),
        "nats_tls_ca": server.cert,
        "nats_tls_cert": client.cert,
        "nats_tls_key": client.key,
    }
    nats_server = NatsServer(tmp_path, accounts.configuration + tls)
    with System(tmp_path, nats=nats_server, **{name: str(path) for name, path in settings.items()}) as running:
        yield running


def test_every_service_shows_its_credentials_and_its_certificate(guarded: System) -> None:
    stream = guarded.create_stream()
    viewer = guarded.watch(stream)
    posted = guarded.post(stream, "behind closed doors")
    viewer.until(lambda v: v.ids(), "the comment")
    assert viewer.ids() == [posted["comment_id"]]
    assert [comment["text"] for comment in guarded.stored(stream, len)] == ["behind closed doors"]
    # And again after the server was away: what was shown once is shown at each connection.
    guarded.nats.kill()
    guarded.nats.start()
    again = guarded.post_until_accepted(stream, "and again")
    viewer.until(lambda v: len(v.ids()) > 1, "the second comment")
    assert viewer.ids() == [posted["comment_id"], again["comment_id"]]
    viewer.disconnect()
