"""Page tokens: a place in a listing, opaque to clients and bound to the arguments it was given for. Pure.

A token is base64url of a digest (8 bytes) and the place (20 bytes). The digest is no signature: it guards against
mistakes. Who forges a token learns nothing, as access is decided before it is read.
"""

import base64
import binascii
import hashlib
import json
import struct

from storage.store import Place

_PLACE = struct.Struct(">qqI")
_DIGEST_BYTES = 8


class BadPageToken(ValueError):
    """Not a token of ours, or given for other arguments."""


def page_token(place: Place, *arguments: str | int) -> str:
    """The token that goes on behind (or before) ``place`` in the listing that ``arguments`` name."""
    packed = _PLACE.pack(place.offset_ms, place.seq, place.index)
    return base64.urlsafe_b64encode(_digest(packed, arguments) + packed).rstrip(b"=").decode()


def place_of(token: str, *arguments: str | int) -> Place:
    """The place that a token holds; raises BadPageToken unless it was made for these very ``arguments``."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPageToken("not a page token") from error
    digest, packed = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if len(packed) != _PLACE.size or digest != _digest(packed, arguments):
        raise BadPageToken("not a page token for these arguments")
    offset_ms, seq, index = _PLACE.unpack(packed)
    return Place(offset_ms, seq, index)


def _digest(packed: bytes, arguments: tuple[str | int, ...]) -> bytes:
    bound = json.dumps(arguments).encode()
    return hashlib.blake2b(packed + bound, digest_size=_DIGEST_BYTES, person=b"page-token").digest()
