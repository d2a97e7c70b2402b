"""Keys that an issuer publishes, fetched from a real server: rotation, storms, and servers that are down or hostile."""

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from livecomments import key_fetch
from livecomments.errors import Reason, Refusal
from livecomments.issuers import PublishedKeys, open_token_check
from livecomments.key_fetch import FetchError, check_key_url, fetch
from livecomments.key_ring import Patience
from livecomments.settings import Settings, SettingsError
from livecomments.token_check import PUBLISHED, KeysNeeded, TokenCheck
from livecomments.tokens import Identity
from tests.certificates import make_certificate
from tests.issuer import AUDIENCE, NAME, Issuer
from tests.processes import eventually

PLAIN = ssl.create_default_context()
NEVER = Patience(refresh_s=3600, stale_s=3600, ask_every_s=3600)
"""Nothing is fetched but at first and for one unknown kid."""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.add("first")
        yield running


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def check_of(issuer: Issuer, patience: Patience, opened: ExitStack) -> TokenCheck:
    keys = opened.enter_context(PublishedKeys(issuer.name, issuer.url, PLAIN, patience))
    return TokenCheck({(issuer.name, algorithm): keys for algorithm in PUBLISHED}, AUDIENCE, 0)


def verify(check: TokenCheck, token: str) -> Identity:
    """Waits for keys, as the services do."""
    while True:
        try:
            return check.verify(token)
        except KeysNeeded as needed:
            needed.fetched.result(10)


def reason(check: TokenCheck, token: str) -> Reason:
    with pytest.raises(Refusal) as refused:
        verify(check, token)
    return refused.value.reason


def test_a_token_waits_for_the_keys_of_its_issuer(issuer: Issuer, opened: ExitStack) -> None:
    issuer.add("second", "RS256")
    check = check_of(issuer, NEVER, opened)
    assert verify(check, issuer.token("ann")).user_id == "ann"
    assert verify(check, issuer.token("bob", kid="second")).user_id == "bob"
    assert issuer.fetches == 1


def test_a_new_key_is_fetched_once_for_all_who_wait(issuer: Issuer, opened: ExitStack) -> None:
    check = check_of(issuer, NEVER, opened)
    verify(check, issuer.token())
    issuer.add("second")
    tokens = [issuer.token(f"user-{number}", kid="second") for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        users = list(pool.map(lambda token: verify(check, token).user_id, tokens))
    assert users == [f"user-{number}" for number in range(20)]
    assert issuer.fetches == 2


def test_random_kids_make_nobody_fetch(issuer: Issuer, opened: ExitStack) -> None:
    check = check_of(issuer, NEVER, opened)
    verify(check, issuer.token())
    for number in range(200):
        issuer.add(f"random-{number}")
    tokens = [issuer.token(kid=f"random-{number}") for number in range(200)]
    for number in range(200):
        issuer.withdraw(f"random-{number}")
    assert {reason(check, token) for token in tokens} == {Reason.UNAUTHENTICATED}
    assert issuer.fetches == 2
    assert verify(check, issuer.token()).user_id == "ann"


def test_a_key_that_was_taken_back_ends_within_a_refresh(issuer: Issuer, opened: ExitStack) -> None:
    check = check_of(issuer, Patience(refresh_s=0.05, stale_s=60, ask_every_s=60), opened)
    token = issuer.token()
    verify(check, token)
    before = check.revision
    issuer.add("second")
    other = issuer.token(kid="second")
    issuer.withdraw("first")
    eventually(lambda: check.revision != before, "what was verified before must be verified anew")
    assert reason(check, token) is Reason.UNAUTHENTICATED
    assert verify(check, other).user_id == "ann"


def test_keys_are_good_while_their_server_is_down_but_not_for_ever(issuer: Issuer, opened: ExitStack) -> None:
    check = check_of(issuer, Patience(refresh_s=0.05, stale_s=3, ask_every_s=0.05), opened)
    token = issuer.token()
    verify(check, token)
    issuer.stop()
    assert verify(check, token).user_id == "ann"
    before = check.revision
    eventually(lambda: check.revision != before, "they are too old")
    assert reason(check, token) is Reason.OVERLOADED
    issuer.start()

    def is_good_again() -> bool:
        try:
            return verify(check, token).user_id == "ann"
        except Refusal:
            return False

    eventually(is_good_again, "the server is back")


def test_an_unknown_kid_is_no_verdict_while_the_server_is_down(issuer: Issuer, opened: ExitStack) -> None:
    check = check_of(issuer, NEVER, opened)
    verify(check, issuer.token())
    issuer.add("second")
    new = issuer.token(kid="second")
    issuer.stop()
    assert reason(check, new) is Reason.OVERLOADED


def test_a_token_of_an_issuer_that_was_never_reached_is_a_503_and_fetches_seldom(opened: ExitStack) -> None:
    with Issuer() as issuer:
        issuer.add("first")
        issuer.answer = lambda request: request.send_error(503)
        check = check_of(issuer, NEVER, opened)
        assert {reason(check, issuer.token()) for _ in range(50)} == {Reason.OVERLOADED}
        assert issuer.fetches <= 2


# -- what a server may do --


def drip(request: BaseHTTPRequestHandler) -> None:
    """A byte at a time, each of them in good time."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(600):
        request.wfile.write(b"X")
        time.sleep(0.01)


def endless(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_000_000)


def endless_head(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 1_000_000)


def redirect(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", "/jwks.json")
    request.end_headers()


def compressed(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Encoding", "gzip")
    request.end_headers()


HOSTILE = {
    "slow": (drip, "took longer than"),
    "endless": (endless, "larger than 65536 bytes"),
    "an endless head": (endless_head, "line"),
    "a redirect": (redirect, "answered 302"),
    "an error": (lambda request: request.send_error(500), "answered 500"),
    "compressed": (compressed, "Content-Encoding"),
    "garbage": (lambda request: request.wfile.write(b"garbage\r\n\r\n"), "garbage"),
    "nothing": (lambda request: request.connection.shutdown(2), ""),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_fetch_ends_in_time_whatever_the_server_does(
    issuer: Issuer, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_fetch, "FETCH_S", 0.5 if what == "slow" else 20)
    issuer.answer, said = HOSTILE[what]
    with pytest.raises(FetchError) as failed:
        fetch(issuer.url, PLAIN)
    assert said in str(failed.value)
    issuer.answer = issuer.publish
    assert fetch(issuer.url, PLAIN) == issuer.document()


def test_a_name_without_an_address_is_a_failed_fetch() -> None:
    with pytest.raises(FetchError):
        fetch("https://no-such-host.invalid/jwks.json", PLAIN)


def test_keys_come_over_tls_from_a_server_with_a_good_certificate_alone(data_dir: Path) -> None:
    certificate = make_certificate(data_dir, "issuer")
    with Issuer(certificate=certificate) as issuer:
        issuer.add("first", "ES256")
        with pytest.raises(FetchError, match="TLS"):
            fetch(issuer.url, PLAIN)
        settings = Settings(data_dir=data_dir, edge_jwks_url=(f"{NAME}={issuer.url}",), edge_jwks_ca=certificate.cert)
        with open_token_check(settings) as check:
            assert verify(check, issuer.token()).user_id == "ann"
            assert verify(check, settings.token_key().issue("bob", ttl_s=60)).user_id == "bob"


# -- settings --


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/jwks.json",
        "http://10.0.0.1/",
        "https://",
        "https://user:password@id.example/",
        "https://id.example/#keys",
        "https://id.example/a b",
        "https://id.example:port/",
        "ftp://id.example/",
        "jwks.json",
    ],
)
def test_an_address_that_keys_may_not_come_from_is_refused(url: str, data_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"must be|[Pp]ort"):
        check_key_url(url)
    with pytest.raises(SettingsError, match="LIVECOMMENTS_EDGE_JWKS_URL"):
        Settings(data_dir=data_dir, edge_jwks_url=(f"{NAME}={url}",)).key_urls()


def test_each_issuer_has_an_address_and_one_alone_is_the_usual_issuers(data_dir: Path) -> None:
    settings = Settings(
        data_dir=data_dir,
        edge_jwt_issuer=NAME,
        edge_jwks_url=("https://a.example/keys?v=1", "https://b.example/=https://b.example/keys", "c=http://[::1]/c"),
    )
    assert settings.key_urls() == {
        NAME: "https://a.example/keys?v=1",
        "https://b.example/": "https://b.example/keys",
        "c": "http://[::1]/c",
    }
    for bad in (
        {"edge_jwks_url": ("c=https://c.example/", "c=https://d.example/")},
        {"edge_jwks_url": ("c=https://c.example/",), "edge_jwks_refresh_s": 600, "edge_jwks_stale_s": 60},
    ):
        with pytest.raises(SettingsError):
            Settings(data_dir=data_dir, **bad).key_urls()


def test_an_installation_without_a_secret_of_its_own_needs_published_keys(tmp_path: Path) -> None:
    with Issuer() as issuer:
        issuer.add("first")
        settings = Settings(data_dir=tmp_path, edge_jwks_url=(f"{NAME}={issuer.url}",))
        with open_token_check(settings) as check:
            assert verify(check, issuer.token()).user_id == "ann"
    for missing in (
        Settings(data_dir=tmp_path),
        Settings(data_dir=tmp_path, edge_jwks_url=("c=https://c.example/",), edge_jwt_secret_file=tmp_path / "none"),
    ):
        with pytest.raises(SettingsError, match="EDGE_JWT_SECRET_FILE"), open_token_check(missing):
            pass
