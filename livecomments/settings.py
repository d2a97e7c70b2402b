"""Settings that several services share; each service adds its own in its ``settings.py``.

Every field is an environment variable with the prefix ``LIVECOMMENTS_``: ``nats_url`` is ``LIVECOMMENTS_NATS_URL``.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from livecomments.key_fetch import check_key_url
from livecomments.page_tokens import PageTokens
from livecomments.tokens import TokenKey

Addresses = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(
        lambda value: (
            tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        )
    ),
]
"""Several ``host:port`` or URLs, separated by commas."""


class Settings(BaseSettings):
    """What every service needs: where NATS is, who may call, what the log looks like."""

    model_config = SettingsConfigDict(env_prefix="LIVECOMMENTS_", frozen=True, extra="ignore")

    nats_url: Addresses = ("nats://127.0.0.1:4222",)
    """NATS servers, separated by commas."""
    nats_creds: Path | None = None
    """Credentials file for NATS: a user's JWT and its seed. A user and password, or a token, may stand in NATS_URL."""
    nats_tls_ca: Path | None = None
    """Authorities that NATS servers' certificates are checked with (PEM). Where it or a certificate is set, or NATS_URL
    says `tls://`, nothing is said in the clear; else the servers decide.
    """
    nats_tls_cert: Path | None = None
    """Certificate that our services show to NATS (PEM), where its servers ask for one."""
    nats_tls_key: Path | None = None
    """The key that belongs to it (PEM, without a password)."""
    data_dir: Path = Path("data")
    """Where the local instance keeps its secrets, its log and its database."""
    service_token_file: Path | None = None
    """Shared token by which our services know each other; default ``<data_dir>/secrets/service.token``."""
    edge_jwt_secret_file: Path | None = None
    """HS256 key of the users' tokens; default ``<data_dir>/secrets/jwt.key``, which may be missing where
    ``EDGE_JWKS_URL`` is set.
    """
    edge_jwt_issuer: str = "livecomments"
    """Expected ``iss`` of tokens that this key signs, and of a URL in ``EDGE_JWKS_URL`` that names no issuer."""
    edge_jwt_audience: str = "livecomments"
    """Expected ``aud``."""
    edge_jwt_leeway_s: Annotated[float, Field(ge=0, le=300)] = 5
    """How far an issuer's clock may be off, for ``exp``, ``nbf`` and ``iat``, seconds."""
    edge_jwks_url: Addresses = ()
    """Where issuers publish their keys (RS256, ES256, EdDSA), ``issuer=URL``, several separated by commas; https, or
    http at loopback.
    """
    edge_jwks_ca: Path | None = None
    """Authorities that those servers' certificates are checked with besides the system's (PEM)."""
    edge_jwks_refresh_s: Annotated[float, Field(ge=1)] = 300
    """Those keys are fetched anew after so long; one that was taken back is good no longer than that."""
    edge_jwks_stale_s: Annotated[float, Field(ge=1)] = 3_600
    """They are good for so long after they were last fetched, while they can't be, seconds."""
    tls_cert: Path | None = None
    """Certificate chain of the edge's TLS listener (PEM), its own certificate first."""
    tls_key: Path | None = None
    """The key that belongs to it (PEM, without a password)."""
    ports_file: Path | None = None
    """Where a service writes which addresses it took, once it serves (JSON: ``listen``, ``metrics``, ``pid``; the
    edge's ``tls_listen`` and ``workers``).
    """
    log_shards: Annotated[int, Field(ge=1, le=256)] = 1
    """JetStream streams that the log is spread over."""
    log_replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies of each in a NATS cluster: 3 for production. What is there already gets more, never fewer."""
    log_bytes: Annotated[int, Field(ge=1024 * 1024)] = 8 * 1024**3
    """Size of one shard at which posts are refused, bytes. What is there already grows to it, and never shrinks."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged."""
    drain_s: Annotated[float, Field(ge=0)] = 5.0
    """How long calls under way may take after SIGTERM, seconds."""

    def token_key(self) -> TokenKey:
        """The key that signs users' tokens here; raises SettingsError when its file can't be read."""
        secret = _read_secret("EDGE_JWT_SECRET_FILE", self._token_key_path)
        return TokenKey(secret, self.edge_jwt_issuer, self.edge_jwt_audience)

    def shared_key(self) -> TokenKey | None:
        """The same for those who check tokens: None where there is no such file and all keys are published."""
        is_left_out = self.edge_jwks_url and self.edge_jwt_secret_file is None and not self._token_key_path.exists()
        return None if is_left_out else self.token_key()

    @property
    def _token_key_path(self) -> Path:
        return self.edge_jwt_secret_file or self.data_dir / "secrets" / "jwt.key"

    def key_urls(self) -> Mapping[str, str]:
        """Where issuers publish their keys, by issuer; raises SettingsError."""
        name, urls = "setting LIVECOMMENTS_EDGE_JWKS_URL", dict[str, str]()
        for entry in self.edge_jwks_url:
            issuer, _, url = entry.partition("=")
            if not url or "?" in issuer:
                issuer, url = self.edge_jwt_issuer, entry
            try:
                check_key_url(url)
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from error
            if issuer in urls:
                raise SettingsError(f"{name}: {issuer!r} has two URLs")
            urls[issuer] = url
        if urls and self.edge_jwks_stale_s < self.edge_jwks_refresh_s:
            raise SettingsError("setting LIVECOMMENTS_EDGE_JWKS_STALE_S: must not be less than EDGE_JWKS_REFRESH_S")
        return urls

    def service_token(self) -> str:
        """The services' shared token; raises SettingsError when its file can't be read."""
        path = self.service_token_file or self.data_dir / "secrets" / "service.token"
        return _read_secret("SERVICE_TOKEN_FILE", path).decode("ascii")

    def page_tokens(self) -> PageTokens:
        """What signs this installation's page tokens; raises SettingsError as ``service_token``."""
        return PageTokens.of(self.service_token())


class SettingsError(Exception):
    """A setting is wrong; the text names it, in one line."""


S = TypeVar("S", bound=Settings)


def load(settings_class: type[S]) -> S:
    """Reads the environment; on a bad value writes one line that names it to stderr and exits with 2."""
    try:
        return settings_class()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"][:1]).upper()
            print(f"setting LIVECOMMENTS_{name}: {problem['msg']} (got {problem['input']!r})", file=sys.stderr)
        raise SystemExit(2) from None


def split_address(name: str, text: str) -> tuple[str, int]:
    """``host:port`` as a pair; raises SettingsError naming the setting."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"setting LIVECOMMENTS_{name}: must be host:port (got {text!r})")
    return host.strip("[]"), int(port)


def _read_secret(name: str, path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"setting LIVECOMMENTS_{name}: {path}: {error.strerror}") from error
    if len(secret) < 32:
        raise SettingsError(f"setting LIVECOMMENTS_{name}: {path}: must hold at least 32 bytes")
    return secret
