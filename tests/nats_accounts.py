"""An operator, an account and its user for nats-server: keys, JWTs, and the file that the user is given.

The formats are those of github.com/nats-io/nkeys and github.com/nats-io/jwt (version 2); none of its tools is needed.
"""

import base64
import binascii
import json
import time
import uuid
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OPERATOR, _ACCOUNT, _USER, _SEED = 14 << 3, 0, 20 << 3, 18 << 3
_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT_LIMITS = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
_JETSTREAM_LIMITS = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


class KeyPair:
    """An nkey of a kind."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> str:
        return _encoded(bytes([self._kind]) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        prefix = bytes([_SEED | self._kind >> 5, (self._kind & 31) << 3])
        return _encoded(prefix + self._key.private_bytes_raw())

    def token(self, subject: str, name: str, claims: dict[str, Any]) -> str:
        """A JWT that this key signs."""
        payload = {
            "jti": uuid.uuid4().hex,
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject,
            "nats": {**claims, "version": 2},
        }
        signed = f"{_base64url({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_base64url(payload)}"
        return f"{signed}.{_unpadded(self._key.sign(signed.encode()))}"


class Accounts:
    """What a nats-server and its users need: ``configuration`` and creds files."""

    def __init__(self) -> None:
        self._operator, self._account, system = KeyPair(_OPERATOR), KeyPair(_ACCOUNT), KeyPair(_ACCOUNT)
        operator = self._operator.token(self._operator.public, "operator", {"type": "operator"})
        preload = {
            self._account.public: self._account_token("comments", _JETSTREAM_LIMITS, self._account),
            system.public: self._account_token("system", {}, system),
        }
        self.configuration = (
            f"operator: {operator}\nsystem_account: {system.public}\nresolver: MEMORY\n"
            f"resolver_preload: {json.dumps(preload)}\n"
        )

    def _account_token(self, name: str, more: dict[str, int], account: KeyPair) -> str:
        limits = {**_UNLIMITED, **_ACCOUNT_LIMITS, **more}
        return self._operator.token(account.public, name, {"type": "account", "limits": limits})

    def write_credentials(self, path: Path) -> Path:
        """A new user's file."""
        user = KeyPair(_USER)
        token = self._account.token(user.public, "services", {"type": "user", **_UNLIMITED})
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        return path


def _encoded(raw: bytes) -> str:
    checksum = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + checksum).decode().rstrip("=")


def _base64url(value: object) -> str:
    return _unpadded(json.dumps(value).encode())


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
