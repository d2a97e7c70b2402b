"""Who may connect to NATS, and to which NATS we connect: TLS, creds files, passwords, against real servers."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecomments.log import connect
from livecomments.nats_access import BadCredentials, Credentials, tls_context
from livecomments.settings import Settings, SettingsError
from tests.certificates import Certificate, make_certificate
from tests.nats_accounts import Accounts
from tests.processes import NatsServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def server(files: Path) -> Certificate:
    return make_certificate(files, "server")


@pytest.fixture(scope="module")
def client(files: Path) -> Certificate:
    return make_certificate(files, "client")


@pytest.fixture(scope="module")
def stranger(files: Path) -> Certificate:
    return make_certificate(files, "stranger")


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, server: Certificate, client: Certificate) -> Iterator[NatsServer]:
    """Shows a certificate, and wants to see one."""
    tls = f'tls {{ cert_file: "{server.cert}", key_file: "{server.key}", ca_file: "{client.cert}", verify: true }}\n'
    with NatsServer(tmp_path_factory.mktemp("mutual"), tls) as running:
        yield running


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory, accounts: Accounts) -> Iterator[NatsServer]:
    """Knows users by an operator's word."""
    with NatsServer(tmp_path_factory.mktemp("operated"), accounts.configuration) as running:
        yield running


async def let_in(url: str, **settings: Path) -> None:
    """Connects and is served; fails otherwise."""
    async with connect(Settings(nats_url=(url,), **settings), "test") as client:
        await client.flush()
        assert (await client.jetstream().account_info()).streams == 0


async def kept_out(url: str, **settings: Path) -> str:
    """Why it could not connect: the first that was reported. Fails when it could."""
    trouble: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def on_error(error: Exception) -> None:
        if not trouble.done():
            trouble.set_result(error)

    async def knock() -> None:
        async with connect(Settings(nats_url=(url,), **settings), "test", on_error=on_error):
            raise AssertionError("it was let in")

    knocking = asyncio.create_task(knock())
    await asyncio.wait([knocking, trouble], timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if not knocking.cancel():
        await knocking
    await asyncio.wait([knocking])
    return repr(trouble.result())


async def test_both_sides_show_their_certificates(mutual: NatsServer, server: Certificate, client: Certificate) -> None:
    await let_in(mutual.url, nats_tls_ca=server.cert, nats_tls_cert=client.cert, nats_tls_key=client.key)


async def test_without_a_certificate_that_it_knows_a_server_lets_nobody_in(
    mutual: NatsServer, server: Certificate, stranger: Certificate
) -> None:
    assert await kept_out(mutual.url, nats_tls_ca=server.cert)
    assert await kept_out(mutual.url, nats_tls_ca=server.cert, nats_tls_cert=stranger.cert, nats_tls_key=stranger.key)


async def test_a_server_whose_certificate_is_not_known_is_told_nothing(
    mutual: NatsServer, client: Certificate, stranger: Certificate
) -> None:
    why = await kept_out(mutual.url, nats_tls_ca=stranger.cert, nats_tls_cert=client.cert, nats_tls_key=client.key)
    assert "CERTIFICATE_VERIFY_FAILED" in why


async def test_a_server_that_offers_no_tls_is_told_nothing(nats_server: NatsServer, server: Certificate) -> None:
    assert "offers no TLS" in await kept_out(nats_server.url, nats_tls_ca=server.cert)
    assert "offers no TLS" in await kept_out(nats_server.url.replace("nats://", "tls://"))


async def test_a_creds_file_lets_its_user_in(operated: NatsServer, accounts: Accounts, tmp_path: Path) -> None:
    await let_in(operated.url, nats_creds=accounts.write_credentials(tmp_path / "services.creds"))


async def test_a_creds_file_of_another_operator_lets_nobody_in(operated: NatsServer, tmp_path: Path) -> None:
    why = await kept_out(operated.url, nats_creds=Accounts().write_credentials(tmp_path / "services.creds"))
    assert "Authorization Violation" in why
    assert "Authorization Violation" in await kept_out(operated.url)


async def test_renewed_credentials_are_used_at_the_next_connection(accounts: Accounts, tmp_path: Path) -> None:
    credentials = Credentials(accounts.write_credentials(tmp_path / "services.creds"))
    before = credentials.jwt(), credentials.sign("nonce")
    accounts.write_credentials(tmp_path / "services.creds")
    after = credentials.jwt(), credentials.sign("nonce")
    assert before[0] != after[0]
    assert before[1] != after[1]
    (tmp_path / "services.creds").write_text("")
    with pytest.raises(BadCredentials):
        credentials.jwt()


@pytest.mark.parametrize(
    ("authorization", "login"),
    [("user: services, password: secret", "services:secret"), ("token: secret", "secret")],
)
async def test_a_password_or_a_token_stands_in_the_url(data_dir: Path, authorization: str, login: str) -> None:
    with NatsServer(data_dir, f"authorization {{ {authorization} }}\n") as running:
        await let_in(running.url.replace("nats://", f"nats://{login}@"))
        assert "Authorization Violation" in await kept_out(running.url.replace("nats://", f"nats://{login}x@"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("", "holds no NATS USER JWT"),
        ("-----BEGIN NATS USER JWT-----\na.b.c\n", "holds no USER NKEY SEED"),
        ("-----BEGIN NATS USER JWT-----\na\n-----BEGIN USER NKEY SEED-----\n?\n", "not base32"),
        ("-----BEGIN NATS USER JWT-----\na\n-----BEGIN USER NKEY SEED-----\nAAAA\n", "not a user's"),
    ],
)
async def test_a_creds_file_that_is_none_is_a_wrong_setting(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "services.creds"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=f"setting LIVECOMMENTS_NATS_CREDS: {path}: .*{why}"):
        Credentials(path)


async def test_a_seed_with_a_slip_of_the_pen_is_a_wrong_setting(accounts: Accounts, tmp_path: Path) -> None:
    path = accounts.write_credentials(tmp_path / "services.creds")
    lines = path.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("SU"))
    lines[at] = lines[at][:20] + ("A" if lines[at][20] != "A" else "B") + lines[at][21:]
    path.write_text("\n".join(lines))
    with pytest.raises(SettingsError, match="its seed is damaged"):
        Credentials(path)


def test_a_certificate_goes_with_its_key(client: Certificate, stranger: Certificate, tmp_path: Path) -> None:
    encrypted = make_certificate(tmp_path, "encrypted", password="secret")
    for name, given in {
        "NATS_TLS_KEY: is missing": {"nats_tls_cert": client.cert},
        "NATS_TLS_CERT: is missing": {"nats_tls_key": client.key},
        "NATS_TLS_CERT: .*": {"nats_tls_cert": client.cert, "nats_tls_key": stranger.key},
        "NATS_TLS_CERT: .*encrypted": {"nats_tls_cert": encrypted.cert, "nats_tls_key": encrypted.key},
        "NATS_TLS_CA: .*": {"nats_tls_ca": client.key},
        "NATS_TLS_CA: .*none.pem: No such file": {"nats_tls_ca": tmp_path / "none.pem"},
    }.items():
        with pytest.raises(SettingsError, match=f"setting LIVECOMMENTS_{name}"):
            tls_context(Settings(**given))
    assert tls_context(Settings()) is None
