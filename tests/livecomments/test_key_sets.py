"""What of a published set of keys is taken."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from livecomments.key_sets import DOCUMENT_MAX_BYTES, KEYS_MAX, BadKeySet, read_key_set
from tests.issuer import private_key, public_jwk

ED, RSA, EC = (public_jwk(private_key(algorithm)) for algorithm in ("EdDSA", "RS256", "ES256"))


def names(*jwks: object) -> list[tuple[str, str]]:
    return list(read_key_set(document(*jwks)).keys)


def document(*jwks: object) -> bytes:
    return json.dumps({"keys": jwks}).encode()


def test_a_key_is_for_one_algorithm_which_its_type_says() -> None:
    assert names({**ED, "kid": "a"}, {**RSA, "kid": "b", "use": "sig"}, {**EC, "kid": "c", "alg": "ES256"}) == [
        ("EdDSA", "a"),
        ("RS256", "b"),
        ("ES256", "c"),
    ]
    found = read_key_set(document({**RSA, "kid": "b"}))
    assert found.find("ES256", "b") is None
    assert found.find("HS256", "b") is None


PASSED_OVER: dict[str, Any] = {
    "a secret": {"kty": "oct", "k": "c2VjcmV0"},
    "for encryption": {**RSA, "use": "enc"},
    "for another algorithm": {**RSA, "alg": "RS512"},
    "for signing alone": {**RSA, "key_ops": ["sign"]},
    "operations that are no list": {**RSA, "key_ops": "verify"},
    "a private key": {**ED, "d": "c2VjcmV0"},
    "another curve": public_jwk(ec.generate_private_key(ec.SECP384R1())),
    "a point that is on no curve": {**EC, "x": EC["y"], "y": EC["x"]},
    "a short RSA key": public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
    "an RSA key without end": {**RSA, "n": "A" * 10_000},
    "an unknown type": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
    "without its numbers": {"kty": "RSA", "e": "AQAB"},
    "numbers that are none": {**RSA, "n": "!!"},
    "a number as a text": {**RSA, "n": 5},
    "a kid that is a list": {**ED, "kid": ["a"]},
    "a type that is a list": {**ED, "kty": ["OKP"]},
    "no object": "key",
}


@pytest.mark.parametrize("what", PASSED_OVER)
def test_what_can_check_no_token_is_passed_over(what: str) -> None:
    assert names(PASSED_OVER[what], {**ED, "kid": "good"}) == [("EdDSA", "good")]
    with pytest.raises(BadKeySet):
        read_key_set(document(PASSED_OVER[what]))


def test_of_two_keys_with_one_name_the_first_counts() -> None:
    other = public_jwk(private_key("EdDSA", "other"), kid="a")
    first = read_key_set(document({**ED, "kid": "a"}))
    assert read_key_set(document({**ED, "kid": "a"}, other)).find("EdDSA", "a") == first.find("EdDSA", "a")


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b"[" * 60_000,
        b"\xff\xfe",
        document(*({**ED, "kid": str(number)} for number in range(KEYS_MAX + 1))),
        document(ED) + b" " * DOCUMENT_MAX_BYTES,
    ],
    ids=["nothing", "a page", "a list", "no keys", "keys that are no list", "none", "deep", "no text", "many", "large"],
)
def test_what_is_no_set_with_keys_is_refused_in_a_few_words(told: bytes) -> None:
    with pytest.raises(BadKeySet) as refused:
        read_key_set(told)
    assert 0 < len(str(refused.value)) < 80


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["keys", "kty", "kid", "n", "e", "x", "y", "crv", "d"]), inner)
        ),
    )
)
def test_whatever_is_published_raises_nothing_else(told: object) -> None:
    with pytest.raises(BadKeySet):
        read_key_set(json.dumps(told).encode())
