"""Which tokens are good, and what is said about the others. No network: the keys are here."""

import base64
import json
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from livecomments.errors import Reason, Refusal
from livecomments.key_sets import KeySet, read_key_set
from livecomments.token_check import (
    PUBLISHED,
    SHARED,
    TOKEN_MAX_BYTES,
    CheckingKey,
    KeysNeeded,
    SharedSecret,
    TokenCheck,
    check_of,
)
from livecomments.tokens import TokenKey
from livecomments.v1.comment_service_pb2 import ROLE_HOST
from tests.issuer import AUDIENCE, NAME, claims_of, private_key, public_jwk

OURS = "livecomments"
OTHER = "https://other.example"
SECRET = b"a shared secret of 32 bytes, or so"
LEEWAY_S = 5


@dataclass(frozen=True)
class FixedKeys:
    """Those of an issuer, as they were once published."""

    keys: KeySet
    revision: int = 0

    def find(self, algorithm: str, kid: str) -> CheckingKey:
        key = self.keys.find(algorithm, kid)
        if key is None:
            raise KeysNeeded(fetched=Future())
        return key

    __hash__ = object.__hash__


def published(*algorithms: str, name: str = "") -> FixedKeys:
    jwks = [public_jwk(private_key(algorithm, name), kid=f"{algorithm}-{name}") for algorithm in algorithms]
    return FixedKeys(read_key_set(json.dumps({"keys": jwks}).encode()))


KEYS, OTHERS_KEYS = published(*PUBLISHED), published("EdDSA", name="other")
CHECK = TokenCheck(
    {
        (OURS, SHARED): SharedSecret(SECRET),
        **{(NAME, algorithm): KEYS for algorithm in PUBLISHED},
        **{(OTHER, algorithm): OTHERS_KEYS for algorithm in PUBLISHED},
    },
    AUDIENCE,
    LEEWAY_S,
)


def signed(algorithm: str = "EdDSA", *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    headers = {"kid": f"{algorithm}-", **(header or {})}
    headers = {name: value for name, value in headers.items() if value is not None}
    return jwt.encode(claims_of(**claims), private_key(algorithm), algorithm, headers=headers)


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def why_not(token: str, check: TokenCheck = CHECK) -> str:
    """What is said of a bad token. No part of it is in there."""
    with pytest.raises(Refusal) as refused:
        check.verify(token)
    assert refused.value.reason is Reason.UNAUTHENTICATED, refused.value
    assert not any(len(part) > 8 and part in str(refused.value) for part in token.split("."))
    assert refused.value.__cause__ is None, "it would be in a traceback"
    return refused.value.detail


@pytest.mark.parametrize("algorithm", PUBLISHED)
def test_a_token_is_good_with_each_algorithm(algorithm: str) -> None:
    who = CHECK.verify(signed(algorithm, user="ann", name="Ann", role="host", streams=["a"]))
    assert (who.user_id, who.name, who.role, who.streams) == ("ann", "Ann", ROLE_HOST, {"a"})


def test_a_token_is_good_with_a_shared_secret() -> None:
    token = jwt.encode(claims_of(issuer=OURS), SECRET, "HS256", headers={"kid": "whatever"})
    assert CHECK.verify(token).user_id == "ann"


def test_what_an_installation_signs_is_good_there_alone() -> None:
    key, other = TokenKey(b"k" * 32, OURS, AUDIENCE), TokenKey(b"o" * 32, OURS, AUDIENCE)
    token = key.issue("ann", ttl_s=60)
    assert check_of(key).verify(token).user_id == "ann"
    assert "signature" in why_not(token, check_of(other))


def test_a_token_without_a_kid_means_the_only_key_of_its_algorithm() -> None:
    assert CHECK.verify(signed(header={"kid": None})).user_id == "ann"
    two = [public_jwk(private_key("EdDSA", name), kid=name) for name in ("", "second")]
    both = FixedKeys(read_key_set(json.dumps({"keys": two}).encode()))
    with pytest.raises(KeysNeeded):
        TokenCheck({(NAME, "EdDSA"): both}, AUDIENCE, 0).verify(signed(header={"kid": None}))


def test_an_audience_may_be_one_of_several() -> None:
    assert CHECK.verify(signed(aud=["shop", AUDIENCE])).user_id == "ann"


def test_a_token_ends_with_the_leeway_that_its_issuers_clock_is_granted() -> None:
    ended = int(time.time()) - 2
    assert CHECK.verify(signed(exp=ended)).expires_at == ended + LEEWAY_S
    assert CHECK.verify(signed(nbf=ended + 5, iat=ended + 5)).user_id == "ann"


def pem(algorithm: str) -> bytes:
    return (
        private_key(algorithm)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def by_secret(secret: bytes, **header: str) -> str:
    """What PyJWT itself refuses to sign: HS256 with whatever bytes."""
    head = encoded({"alg": "HS256", "typ": "JWT", **header})
    body = encoded(claims_of())
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), secret
    )
    return f"{head}.{body}.{encoded(signature)}"


NOW = int(time.time())
"""When the tests were found; these here may run half an hour later."""
BAD = {
    "alg none": (lambda: f"{encoded({'alg': 'none'})}.{encoded(claims_of())}.", "alg: must be one of"),
    "alg None": (lambda: f"{encoded({'alg': 'None'})}.{encoded(claims_of())}.", "alg: must be one of"),
    "no alg": (lambda: f"{encoded({'typ': 'JWT'})}.{encoded(claims_of())}.x", "malformed"),
    "an alg that is a list": (lambda: f"{encoded({'alg': ['x']})}.{encoded(claims_of())}.eA", "alg: must be one of"),
    "an RSA key as a secret": (lambda: by_secret(pem("RS256"), kid="RS256-"), "not one that this issuer signs with"),
    "an EC key as a secret": (lambda: by_secret(pem("ES256"), kid="ES256-"), "not one that this issuer signs with"),
    "our secret for another issuer": (lambda: by_secret(SECRET), "not one that this issuer signs with"),
    "another alg of the same key": (
        lambda: jwt.encode(claims_of(), private_key("RS256"), "PS256", headers={"kid": "RS256-"}), "alg: must be one of"
    ),
    "an issuer's key in another's name": (lambda: signed(issuer=OTHER, header={"kid": "EdDSA-other"}), "signature"),
    "an unknown issuer with a known kid": (lambda: signed(issuer="https://evil.example"), "claim iss: is not"),
    "an issuer that is a list": (lambda: raw(iss=[NAME]), "claim iss: must be a string"),
    "a shared secret's issuer": (lambda: signed(issuer=OURS), "not one that this issuer signs with"),
    "expired": (lambda: signed(ttl_s=-LEEWAY_S - 2), "expired"),
    "not valid yet": (lambda: signed(nbf=NOW + 86_400), "not valid yet"),
    "issued in the future": (lambda: signed(iat=NOW + 86_400), "not valid yet"),
    "another audience": (lambda: signed(aud="shop"), "claim aud: must name 'livecomments'"),
    "an audience that is a number": (lambda: signed(aud=[5]), "claim aud"),
    "no audience": (lambda: signed(aud=None), "claim aud: is missing"),
    "no end": (lambda: signed(exp=None), "claim exp: is missing"),
    "no user": (lambda: signed(sub=None), "claim sub: is missing"),
    "no issuer": (lambda: signed(iss=None), "claim iss: is missing"),
    "a user that is a number": (lambda: raw(sub=5), "claim sub"),
    "an end that is a text": (lambda: signed(exp=str(NOW + 86_400)), "claim exp"),
    "an end that is infinite": (lambda: signed(exp=float("inf")), "malformed"),
    "an end beyond all time": (lambda: signed(exp=10**400), "claim exp"),
    "a role of no meaning": (lambda: signed(role="king"), "claim role"),
    "an extension that must be understood": (lambda: signed(header={"crit": ["exp"], "exp": 1}), "malformed"),
    "an extension that PyJWT understands": (lambda: raw({"crit": ["b64"], "b64": True}), "crit"),
    "a kid that is long": (lambda: signed(header={"kid": "k" * 257}), "kid: must have at most"),
    "oversized": (lambda: signed(name="x" * TOKEN_MAX_BYTES), "longer than 8192 bytes"),
    "no JWT at all": (lambda: "x.y.z", "malformed"),
    "two parts": (lambda: signed().rpartition(".")[0], "malformed"),
    "no ASCII": (lambda: signed() + "é", "malformed"),
    "nested deeply": (lambda: f"{encoded(b'[' * 5000)}.{encoded(b'[' * 500)}.x", "malformed"),
    "claims that are a list": (lambda: f"{encoded({'alg': 'EdDSA'})}.{encoded([1])}.eA", "malformed"),
}  # fmt: skip


def raw(header: dict[str, Any] | None = None, **claims: Any) -> str:
    """What PyJWT would not sign."""
    head, body = encoded({"alg": "EdDSA", "kid": "EdDSA-", **(header or {})}), encoded(claims_of() | claims)
    signature = private_key("EdDSA").sign(f"{head}.{body}".encode())  # type: ignore[call-arg, union-attr]
    return f"{head}.{body}.{encoded(signature)}"


@pytest.mark.parametrize("what", BAD)
def test_a_bad_token_is_refused_and_told_why(what: str) -> None:
    make, said = BAD[what]
    assert said in why_not(make())


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_that_was_changed_is_refused(part: int) -> None:
    parts = signed().split(".")
    changed = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    changed[len(changed) // 2] ^= 1
    parts[part] = encoded(bytes(changed))
    with pytest.raises(Refusal) as refused:
        CHECK.verify(".".join(parts))
    assert refused.value.reason is Reason.UNAUTHENTICATED or isinstance(refused.value, KeysNeeded)


@given(st.text(max_size=300) | st.lists(st.binary(max_size=60).map(encoded), min_size=3, max_size=3).map(".".join))
def test_nothing_that_comes_as_a_token_raises_anything_but_a_refusal(token: str) -> None:
    with pytest.raises(Refusal):
        CHECK.verify(token)


def test_a_token_that_is_no_good_whoever_signed_it_asks_for_no_key() -> None:
    assert "expired" in why_not(signed(ttl_s=-60, header={"kid": "unknown"}))
    assert "claim aud" in why_not(signed(aud="shop", header={"kid": "unknown"}))


def test_a_key_that_is_missing_may_be_waited_for_and_is_a_503_for_those_who_can_not() -> None:
    with pytest.raises(KeysNeeded) as needed:
        CHECK.verify(signed(header={"kid": "unknown"}))
    assert needed.value.reason is Reason.OVERLOADED
    assert needed.value.retry_after_ms > 0
