"""JWK sets (RFC 7517): the keys that an issuer publishes. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from livecomments.token_check import CheckingKey, PublicKey

DOCUMENT_MAX_BYTES = 64 * 1024
KEYS_MAX = 100
RSA_BITS = (2_048, 8_192)
"""Shorter ones can be broken (RFC 7518, section 3.3), longer ones make each check dear."""
_RSA_TEXT_MAX = RSA_BITS[1] // 6 + 2
_ALGORITHMS: Mapping[tuple[object, object], str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}
"""The one for keys of a type and curve."""


class BadKeySet(Exception):
    """No set with keys for us; the text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public keys, by algorithm and kid."""

    keys: Mapping[tuple[str, str], CheckingKey]

    def find(self, algorithm: str, kid: str) -> CheckingKey | None:
        """The key of that name; where a token names none (``kid`` is empty), the only one that it can mean."""
        if kid:
            return self.keys.get((algorithm, kid))
        candidates = [key for (found, _), key in self.keys.items() if found == algorithm]
        return candidates[0] if len(candidates) == 1 else None

    def has_all_of(self, other: "KeySet") -> bool:
        """Whether each of the other's keys is good here, too, under the same name."""
        return all(self.keys.get(name) == key for name, key in other.keys.items())


def read_key_set(document: bytes) -> KeySet:
    """The keys that check tokens; what else a set holds is passed over, as RFC 7517, section 5, wants it.

    Those are keys of other types, curves and sizes, for other algorithms or for encryption; also secrets and private
    keys, which nobody who publishes them keeps to himself. Of two with one name the first counts. Raises BadKeySet.
    """
    if len(document) > DOCUMENT_MAX_BYTES:
        raise BadKeySet(f"larger than {DOCUMENT_MAX_BYTES} bytes")
    try:
        told = json.loads(document)
    except (ValueError, RecursionError):
        raise BadKeySet("not JSON") from None
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise BadKeySet("no JWK set: a JSON object with a list of keys")
    if len(listed) > KEYS_MAX:
        raise BadKeySet(f"more than {KEYS_MAX} keys")
    keys: dict[tuple[str, str], CheckingKey] = {}
    for jwk in listed:
        algorithm = _algorithm(jwk) if _is_jwk(jwk) else None
        if algorithm is not None and (material := _public_key(jwk, algorithm)) is not None:
            keys.setdefault((algorithm, jwk.get("kid", "")), CheckingKey(algorithm, material))
    if not keys:
        raise BadKeySet("no key in it that checks RS256, ES256 or EdDSA")
    return KeySet(keys)


def _is_jwk(jwk: object) -> TypeGuard[dict[str, str]]:
    """It has the form; ``key_ops`` and ``x5c``, which are lists, aside."""
    named = ("kty", "crv", "use", "alg", "kid", "n", "e", "x", "y")
    return isinstance(jwk, dict) and all(isinstance(jwk.get(name, ""), str) for name in named)


def _algorithm(jwk: dict[str, str]) -> str | None:
    """The one that a key is for; None when we check none with it."""
    algorithm = _ALGORITHMS.get((jwk.get("kty"), jwk.get("crv")))
    operations = jwk.get("key_ops", ["verify"])
    is_for_us = (
        jwk.get("use", "sig") == "sig"
        and jwk.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in jwk
        and len(jwk.get("n", "")) <= _RSA_TEXT_MAX
    )
    return algorithm if is_for_us else None


def _public_key(jwk: dict[str, str], algorithm: str) -> PublicKey | None:
    try:
        material = PyJWK(jwk, algorithm).key
    except (PyJWTError, ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(material, RSAPublicKey):
        return material if RSA_BITS[0] <= material.key_size <= RSA_BITS[1] else None
    return material if isinstance(material, (EllipticCurvePublicKey, Ed25519PublicKey)) else None
