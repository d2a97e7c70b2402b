"""How to reach the CQL servers. Apart from the driver, so that settings are read without it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Servers:
    """How to reach a cluster."""

    hosts: tuple[str, ...]
    """Some of its servers; the others are learned from them."""
    port: int
    keyspace: str
    data_centre: str | None = None
    """Whose servers are asked; None: that of the first that answers."""
    user: str | None = None
    password_file: Path | None = None
    tls_ca: Path | None = None
    """Certificates that servers are checked with (PEM); None: no TLS."""
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __str__(self) -> str:
        return f"{','.join(self.hosts)}:{self.port}"
