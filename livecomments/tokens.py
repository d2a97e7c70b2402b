"""JWTs: who a caller is (design.md, section 7). HS256 with a shared secret."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

import jwt

from livecomments.errors import Reason, Refusal
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE, Stream
from livecomments.v1.comment_service_pb2 import ROLE_HOST, ROLE_MODERATOR, ROLE_VIEWER, Role

_ROLES: Mapping[str, Role.ValueType] = {"viewer": ROLE_VIEWER, "moderator": ROLE_MODERATOR, "host": ROLE_HOST}
_TOKEN_MAX_BYTES = 8 * 1024
_ID_MAX = 128
_NAME_MAX = 100
_STREAMS_MAX = 1_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller: nobody (no token), an end user (from a JWT), or one of our own services."""

    user_id: str = ""
    name: str = ""
    role: Role.ValueType = ROLE_VIEWER
    streams: frozenset[str] = frozenset()
    """Streams that the token names: those a moderator rules, and the private ones that its bearer may watch."""
    expires_at: float = 0.0
    """Seconds since the Unix epoch; 0 for callers without a token."""
    is_service: bool = False

    @property
    def is_user(self) -> bool:
        return bool(self.user_id)

    def rules(self, stream: Stream) -> bool:
        """May end, pin, delete and ban in this stream: its host, or a moderator whose token names it."""
        if self.is_service:
            return True
        if self.role == ROLE_HOST:
            return self.user_id == stream.host_id
        return self.role == ROLE_MODERATOR and stream.stream_id in self.streams

    def role_in(self, stream: Stream) -> Role.ValueType:
        """The role that counts in this stream: a host or moderator of others is a viewer here."""
        return self.role if self.rules(stream) and not self.is_service else ROLE_VIEWER

    def may_watch(self, stream: Stream) -> bool:
        """Public streams are everyone's; a private one needs a token that names it, or its host's."""
        return stream.visibility != STREAM_VISIBILITY_PRIVATE or stream.stream_id in self.streams or self.rules(stream)


NOBODY = Identity()


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What signs and checks the tokens of one installation."""

    secret: bytes
    """HS256 key, at least 32 bytes."""
    issuer: str
    audience: str

    def issue(
        self, user_id: str, *, name: str = "", role: str = "viewer", ttl_s: float, streams: tuple[str, ...] = ()
    ) -> str:
        """A token for a user, valid from now for ``ttl_s`` seconds; ``role`` is viewer, moderator or host."""
        now = time.time()
        claims: dict[str, object] = {
            "sub": user_id,
            "name": name or user_id,
            "role": role,
            "iat": int(now),
            "exp": int(now + ttl_s),
            "iss": self.issuer,
            "aud": self.audience,
        }
        if streams:
            claims["streams"] = list(streams)
        return jwt.encode(claims, self.secret, algorithm="HS256")

    def verify(self, token: str) -> Identity:
        """Who bears this token. Raises Refusal(UNAUTHENTICATED) when it is malformed, forged, foreign or expired."""
        if len(token) > _TOKEN_MAX_BYTES:
            raise Refusal(Reason.UNAUTHENTICATED, f"the token is longer than {_TOKEN_MAX_BYTES} bytes")
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=["HS256"],
                audience=self.audience,
                issuer=self.issuer,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Refusal(Reason.UNAUTHENTICATED, "the token has expired") from error
        except jwt.PyJWTError as error:
            raise Refusal(Reason.UNAUTHENTICATED, f"the token is not valid: {error}") from error
        return _identity(claims)


def _identity(claims: Mapping[str, object]) -> Identity:
    user_id, name, role = claims["sub"], claims.get("name", ""), claims.get("role", "viewer")
    streams, expires_at = claims.get("streams", []), claims["exp"]
    if not _is_text(user_id, _ID_MAX) or not user_id:
        raise Refusal(Reason.UNAUTHENTICATED, f"claim sub: must be a string of 1 to {_ID_MAX} characters")
    if not _is_text(name, _NAME_MAX):
        raise Refusal(Reason.UNAUTHENTICATED, f"claim name: must be a string of at most {_NAME_MAX} characters")
    if not isinstance(role, str) or role not in _ROLES:
        raise Refusal(Reason.UNAUTHENTICATED, "claim role: must be viewer, moderator or host")
    if (
        not isinstance(streams, list)
        or len(streams) > _STREAMS_MAX
        or not all(isinstance(stream_id, str) for stream_id in streams)
    ):
        raise Refusal(Reason.UNAUTHENTICATED, f"claim streams: must be a list of at most {_STREAMS_MAX} stream ids")
    if not isinstance(expires_at, (int, float)):
        raise Refusal(Reason.UNAUTHENTICATED, "claim exp: must be a number")
    return Identity(user_id, name or user_id, _ROLES[role], frozenset(streams), float(expires_at))


def _is_text(claim: object, longest: int) -> TypeGuard[str]:
    # JSON's escapes can write half of a surrogate pair, which is no character: neither UTF-8 nor a proto holds it.
    return isinstance(claim, str) and len(claim) <= longest and _SURROGATE.search(claim) is None
