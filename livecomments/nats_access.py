"""How our services and NATS know each other: the files that the settings name."""

import base64
import binascii
import ssl
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.errors import Error as NatsError

from livecomments.settings import Settings, SettingsError

# The first bytes of a user's seed: 5 bits "seed" and 8 bits "user" (github.com/nats-io/nkeys).
_USER_SEED = (18 << 3 | 20 >> 2, (20 << 3 & 0x1F) << 3)
_SEED_BYTES = 32
_CHECKSUM_BYTES = 2


class BadCredentials(NatsError):
    """The file holds no user's JWT with its seed. Also raised in the middle of a reconnect: then it is tried again."""


class Credentials:
    """A creds file: a user's JWT and the seed of its key. Read anew for each connection, so that it may be renewed."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError when it can't be used."""
        self._path = path
        try:
            self.jwt()
            self.sign("")
        except (OSError, BadCredentials) as error:
            raise SettingsError(f"setting LIVECOMMENTS_NATS_CREDS: {path}: {_why(error)}") from error

    def jwt(self) -> bytes:
        """The token; raises OSError or BadCredentials."""
        return self._part("NATS USER JWT")

    def sign(self, nonce: str) -> bytes:
        """A server's nonce, signed and in base64; raises OSError or BadCredentials."""
        key = Ed25519PrivateKey.from_private_bytes(_seed(self._part("USER NKEY SEED")))
        return base64.b64encode(key.sign(nonce.encode()))

    def _part(self, name: str) -> bytes:
        lines = iter(self._path.read_bytes().splitlines())
        for line in lines:
            if f"BEGIN {name}".encode() in line:
                return next(lines, b"").strip()
        raise BadCredentials(f"holds no {name}")


def _seed(text: bytes) -> bytes:
    try:
        raw = base64.b32decode(text + b"=" * (-len(text) % 8))
    except binascii.Error:
        raise BadCredentials("its seed is not base32") from None
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if tuple(body[:2]) != _USER_SEED or len(body) != 2 + _SEED_BYTES:
        raise BadCredentials("its seed is not a user's")
    if binascii.crc_hqx(body, 0).to_bytes(_CHECKSUM_BYTES, "little") != checksum:
        raise BadCredentials("its seed is damaged")
    return body[2:]


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What every connection to NATS must be encrypted with; None where no setting asks for it. Raises SettingsError.

    Without NATS_TLS_CA the system's authorities count.
    """
    ca, cert, key = settings.nats_tls_ca, settings.nats_tls_cert, settings.nats_tls_key
    if (cert is None) != (key is None):
        missing = "KEY" if key is None else "CERT"
        raise SettingsError(f"setting LIVECOMMENTS_NATS_TLS_{missing}: is missing: a certificate goes with its key")
    if ca is None and cert is None and not any(url.startswith("tls://") for url in settings.nats_url):
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"setting LIVECOMMENTS_NATS_TLS_CA: {ca}: {_why(error)}") from error
    if cert is not None:
        try:
            # An encrypted key would be asked for its password on the terminal.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"setting LIVECOMMENTS_NATS_TLS_CERT: {cert} with {key}: {_why(error)}") from error
    return context


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
