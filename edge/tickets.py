"""Tickets: who somebody is, for one errand, for some seconds. They stand in addresses, where tokens must not. Pure.

A browser can give a WebSocket and an EventSource no header, and an address ends up in logs, histories and screens: a
ticket that is read there has ended meanwhile, and was good for one stream's feed alone. Nothing is stored: any worker
of any edge of the installation takes it, as its key follows from the services' shared token. So it may be used again
within its seconds; the connections that it opens end with the token that it was given for.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity
from livecomments.v1.comment_service_pb2 import Role

PARAMETER = "ticket"
_SIGNATURE_BYTES = 32
_TICKET_MAX = 4_096
"""Characters; those of ours with the longest claims have half of that."""


class Purpose(StrEnum):
    """What a ticket is for."""

    FEED = "feed"
    """A WebSocket: to watch the stream, and to post in it."""
    SUBSCRIBE = "subscribe"
    """Server-sent events."""


class _Content(msgspec.Struct, array_like=True):
    purpose: str
    stream_id: str
    until: float
    """When the ticket ends, Unix seconds."""
    user_id: str
    name: str
    role: int
    is_named: bool
    """The token names the stream."""
    expires_at: float
    """When the token ends that it was given for."""


@dataclass(frozen=True, slots=True)
class Tickets:
    """Gives tickets and takes them."""

    key: bytes

    @classmethod
    def of(cls, service_token: str) -> "Tickets":
        """Those of the installation whose services know each other by this token, which can't be told from them."""
        return cls(hmac.digest(service_token.encode(), b"livecomments tickets", "sha256"))

    def give(self, identity: Identity, stream_id: str, purpose: Purpose, until: float) -> str:
        """A ticket for this user, until then (Unix seconds)."""
        content = _Content(
            purpose,
            stream_id,
            until,
            identity.user_id,
            identity.name,
            identity.role,
            stream_id in identity.streams,
            identity.expires_at,
        )
        signed = msgspec.json.encode(content)
        return base64.urlsafe_b64encode(self._signature(signed) + signed).rstrip(b"=").decode()

    def take(self, ticket: str, stream_id: str, purpose: Purpose, now: float) -> Identity:
        """Who it was given to, for this stream and purpose; raises Refusal(UNAUTHENTICATED) without quoting it."""
        content = self._read(ticket)
        if (content.stream_id, content.purpose) != (stream_id, purpose):
            raise _bad("was given for something else")
        if content.until <= now:
            raise _bad("has expired")
        streams = frozenset([stream_id] if content.is_named else ())
        role = Role.ValueType(content.role)
        return Identity(content.user_id, content.name, role, streams, content.expires_at)

    def _read(self, ticket: str) -> _Content:
        try:
            if len(ticket) > _TICKET_MAX:
                raise ValueError("too long")
            raw = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _bad("is malformed") from None
        signature, signed = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(signed)):
            raise _bad("is not one of this system")
        return msgspec.json.decode(signed, type=_Content)

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self.key, signed, "sha256")


def _bad(detail: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, f"the ticket {detail}")
