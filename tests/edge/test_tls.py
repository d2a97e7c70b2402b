"""What the TLS listener is made of, and what it says when that does not do."""

import ssl
from pathlib import Path

import pytest

from edge.tls import tls_context
from livecomments.settings import Settings, SettingsError
from tests.certificates import make_certificate


def test_the_context_offers_http_2_and_nothing_old(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    context = tls_context(Settings(tls_cert=made.cert, tls_key=made.key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    ciphers = {str(cipher["name"]) for cipher in context.get_ciphers()}
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in ciphers)


def test_what_does_not_do_is_named_by_its_setting(tmp_path: Path) -> None:
    one, other = make_certificate(tmp_path, "one"), make_certificate(tmp_path, "other")
    locked = make_certificate(tmp_path, "locked", password="very secret")
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.touch()
    for cert, key, what in (
        (None, one.key, "TLS_CERT: must be set"),
        (one.cert, None, "TLS_KEY: must be set"),
        (missing, one.key, f"TLS_CERT: {missing}: No such file"),
        (one.cert, missing, f"TLS_KEY: {missing}: No such file"),
        (tmp_path, one.key, f"TLS_CERT: {tmp_path}: Is a directory"),
        (empty, one.key, f"TLS_CERT: {empty}: holds no certificate"),
        (one.key, one.key, f"TLS_CERT: {one.key}: holds no certificate"),
        (one.cert, empty, f"TLS_KEY: {empty}: holds no plain key"),
        (one.cert, one.cert, f"TLS_KEY: {one.cert}: holds no plain key"),
        (locked.cert, locked.key, f"TLS_KEY: {locked.key}: holds no plain key"),
        (one.cert, other.key, f"TLS_KEY: {other.key}: does not belong to TLS_CERT"),
    ):
        with pytest.raises(SettingsError) as error:
            tls_context(Settings(tls_cert=cert, tls_key=key))
        assert str(error.value).startswith(f"setting LIVECOMMENTS_{what}"), error.value
        assert "\n" not in str(error.value)
