"""The opening of a WebSocket (RFC 6455, section 4): who may open one, and how it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from wsproto.handshake import WEBSOCKET_VERSION
from wsproto.utilities import generate_accept_token

from edge.credentials import Asking
from edge.encodings.websocket import WEBSOCKET
from edge.requests import Query
from edge.state import Edge
from edge.subscribe import Wish, parse_cursor, read_selection
from edge.tickets import PARAMETER, Purpose
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity

_PARAMETERS = frozenset({"cursor", "all", PARAMETER})


@dataclass(frozen=True, slots=True)
class Opening:
    """Who opens a WebSocket, and what it asks for."""

    identity: Identity
    wish: Wish


def is_opening(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a GET's headers, by their names in small letters, ask for a WebSocket, and for nothing else."""
    tokens = [token.strip().lower() for token in headers.get(b"connection", b"").split(b",")]
    return (
        headers.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in tokens
        and headers.get(b"sec-websocket-version") == WEBSOCKET_VERSION
        and b"sec-websocket-key" in headers
    )


def switching_protocols(key: bytes) -> bytes:
    """The head that answers an opening whose Sec-WebSocket-Key this is; no extension, no subprotocol."""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %b\r\n\r\n" % generate_accept_token(key)
    )


def read_opening(edge: Edge, stream_id: str, values: Mapping[str, list[str]], asking: Asking) -> Opening:
    """Raises Refusal: INVALID_FIELD, FORBIDDEN, UNAUTHENTICATED, BAD_CURSOR."""
    query = Query(values, _PARAMETERS)
    wish = Wish(query.text("cursor"), WEBSOCKET, read_selection(query))
    # CORS does not hold for WebSockets: any page in the world may open one with its visitor's browser.
    is_foreign = asking.origin is not None and not edge.origins.is_ours(asking.origin, asking.host)
    if is_foreign and not edge.origins.allow(asking.origin):
        raise Refusal(Reason.FORBIDDEN, "pages of this origin may not open a WebSocket here")
    identity = edge.ticket_holder(asking, query.text(PARAMETER), stream_id, Purpose.FEED)
    if identity is None:
        identity = edge.authenticator.identify(edge.credentials.for_changing(asking))
    parse_cursor(wish.cursor, "cursor")
    return Opening(identity, wish)
