"""Page tokens of ListStreams: where the last page ended, bound to the arguments that it was given for."""

import base64
import binascii
import struct
from hashlib import blake2b
from typing import NamedTuple

from livecomments.errors import Reason, Refusal

_TIME = struct.Struct(">q")
_DIGEST_BYTES = 8


class StreamPosition(NamedTuple):
    """A stream's place in the list, newest first; of those that started together the greater id comes first."""

    started_at_ms: int
    stream_id: str


def page_token(position: StreamPosition, state: int) -> str:
    """The token of what follows ``position`` in the list of this state."""
    body = _TIME.pack(position.started_at_ms) + position.stream_id.encode()
    return base64.urlsafe_b64encode(_digest(body, state) + body).decode().rstrip("=")


def read_page_token(token: str, state: int) -> StreamPosition:
    """Raises Refusal(BAD_PAGE_TOKEN) for a token that is malformed or was given for another list."""
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest != _digest(body, state):
            raise ValueError("of another list")
        (started_at_ms,) = _TIME.unpack_from(body)
        return StreamPosition(started_at_ms, body[_TIME.size :].decode())
    except (ValueError, binascii.Error, struct.error) as error:
        raise Refusal(Reason.BAD_PAGE_TOKEN, "page_token was not given for this list") from error


def _digest(body: bytes, state: int) -> bytes:
    # Against mix-ups, not against forgery: a token opens nothing.
    return blake2b(body, digest_size=_DIGEST_BYTES, person=b"streams", salt=struct.pack(">q", state)).digest()
