"""Who a caller is, as a JWT's claims say it (design.md, section 7), and the tokens that we sign ourselves."""

import math
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
_ID_MAX = 128
_NAME_MAX = 100
_STREAMS_MAX = 1_000
_FAR_S = 2**53
"""Up to here a float tells one second from the next."""
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
    """When the token is accepted no more, seconds since the Unix epoch; 0 for callers without one."""
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
    """What signs the tokens of an installation that is its own issuer."""

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


def identity_of(claims: Mapping[str, object], leeway_s: float) -> Identity:
    """Who bears a token with these claims; raises Refusal(UNAUTHENTICATED), which names the bad one."""
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
    if not isinstance(expires_at, (int, float)) or not abs(expires_at) < _FAR_S:
        raise Refusal(Reason.UNAUTHENTICATED, "claim exp: must be seconds since 1970, as a number")
    return Identity(user_id, name or user_id, _ROLES[role], frozenset(streams), math.floor(expires_at) + leeway_s)


def _is_text(claim: object, longest: int) -> TypeGuard[str]:
    # JSON's escapes can write half of a surrogate pair, which is no character: neither UTF-8 nor a proto holds it.
    return isinstance(claim, str) and len(claim) <= longest and _SURROGATE.search(claim) is None
