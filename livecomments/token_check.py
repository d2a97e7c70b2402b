"""Whether a token is good, given the keys of its issuer. Pure, but for the clock that PyJWT reads.

Nothing that a token says of itself is believed before its signature was checked: its header and its issuer only choose
among the keys that we know, and a key knows the one algorithm that it is for (RFC 8725, section 3).
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity, TokenKey, identity_of

SHARED = "HS256"
"""The algorithm of secrets that an issuer shares with us."""
PUBLISHED = ("RS256", "ES256", "EdDSA")
"""Those of the keys that issuers publish."""
TOKEN_MAX_BYTES = 8 * 1024
_KID_MAX = 256
_REQUIRED = ("exp", "sub", "iss", "aud")

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class CheckingKey:
    """What checks signatures, made with this algorithm alone."""

    algorithm: str
    material: bytes | PublicKey


class IssuerKeys(Protocol):
    """The keys of one issuer for some algorithms."""

    @property
    def revision(self) -> int:
        """Another one as soon as a key that was good may be so no longer."""

    def find(self, algorithm: str, kid: str) -> CheckingKey:
        """The key that a token names; ``kid`` is empty where it names none.

        Raises Refusal: UNAUTHENTICATED when there is none, OVERLOADED when nobody can say now, and KeysNeeded.
        """


@dataclass(eq=False)
class KeysNeeded(Refusal):
    """The key is not here and may be on its way: check again once ``fetched`` is done.

    A Refusal by itself, for those who can't wait.
    """

    reason: Reason = Reason.OVERLOADED
    detail: str = "the keys of the token's issuer are not here yet"
    retry_after_ms: int = 1_000
    fetched: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """The one key of an issuer that shares a secret with us, whatever kid its tokens name."""

    secret: bytes
    revision: int = 0

    def find(self, algorithm: str, _kid: str) -> CheckingKey:
        return CheckingKey(algorithm, self.secret)


Issuers = Mapping[tuple[str, str], IssuerKeys]
"""By issuer and algorithm: a public key is never taken for a secret."""


class _Presented(NamedTuple):
    """What an unchecked token says of itself."""

    issuer: str
    algorithm: str
    kid: str


class TokenCheck:
    """Says who bears a token, by the keys of all issuers."""

    def __init__(self, issuers: Issuers, audience: str, leeway_s: float) -> None:
        """``leeway_s``: how far an issuer's clock may be off."""
        self._issuers = issuers
        self._audience = audience
        self._leeway_s = leeway_s
        self._sources = tuple(set(issuers.values()))

    @property
    def revision(self) -> tuple[int, ...]:
        """Another one when what was verified before must be verified anew."""
        return tuple(source.revision for source in self._sources)

    def verify(self, token: str) -> Identity:
        """Who bears this token.

        Raises Refusal(UNAUTHENTICATED) when it is malformed, forged, foreign, expired or not valid yet, which it words
        without quoting the token; and as IssuerKeys.find does.
        """
        if len(token) > TOKEN_MAX_BYTES:
            raise _bad(f"the token is longer than {TOKEN_MAX_BYTES} bytes")
        try:
            presented = self._read(token)
            key = self._source(presented).find(presented.algorithm, presented.kid)
            claims = jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=presented.issuer,
                leeway=self._leeway_s,
                options={"require": list(_REQUIRED)},
            )
        except jwt.PyJWTError as error:
            # Without its cause: PyJWT quotes what it could not read.
            raise self._refusal(error) from None
        return identity_of(claims, self._leeway_s)

    def _read(self, token: str) -> _Presented:
        if not token.isascii():
            raise jwt.DecodeError
        # The claims first: what is no good whoever signed it makes nobody fetch a key.
        checked: Any = {"verify_signature": False, "require": list(_REQUIRED)}
        checked |= dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud"), True)
        told = jwt.decode_complete(token, options=checked, audience=self._audience, leeway=self._leeway_s)
        header, issuer = told["header"], told["payload"]["iss"]
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if "crit" in header or "b64" in header:
            raise _bad("crit: extensions are not understood here")
        if algorithm not in (SHARED, *PUBLISHED):
            raise _bad(f"alg: must be one of {SHARED}, {', '.join(PUBLISHED)}")
        if len(kid) > _KID_MAX:
            raise _bad(f"kid: must have at most {_KID_MAX} characters")
        if not isinstance(issuer, str):
            raise _bad("claim iss: must be a string")
        return _Presented(issuer, algorithm, kid)

    def _source(self, presented: _Presented) -> IssuerKeys:
        source = self._issuers.get((presented.issuer, presented.algorithm))
        if source is not None:
            return source
        if any(issuer == presented.issuer for issuer, _ in self._issuers):
            raise _bad("alg: is not one that this issuer signs with")
        raise _bad("claim iss: is not an issuer that is known here")

    def _refusal(self, error: jwt.PyJWTError) -> Refusal:
        match error:
            case jwt.ExpiredSignatureError():
                return _bad("the token has expired")
            case jwt.ImmatureSignatureError():
                return _bad("the token is not valid yet: its nbf or iat lies in the future")
            case jwt.InvalidAudienceError():
                return _bad(f"claim aud: must name {self._audience!r}")
            case jwt.MissingRequiredClaimError(claim=claim):
                return _bad(f"claim {claim}: is missing")
            case jwt.InvalidSignatureError():
                return _bad("the signature was not made with the key that the token names")
            case jwt.exceptions.InvalidSubjectError():
                return _bad("claim sub: must be a string")
            case _:
                return _bad("the token is malformed")


def check_of(key: TokenKey) -> TokenCheck:
    """That of an installation which knows this key alone."""
    return TokenCheck({(key.issuer, SHARED): SharedSecret(key.secret)}, key.audience, 0)


def _bad(detail: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, detail)
