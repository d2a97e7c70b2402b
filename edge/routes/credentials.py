"""Tokens for browsers, which can give a WebSocket and an EventSource no header: as a ticket, or as a cookie."""

import time
from typing import Literal

import msgspec
from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from edge.requests import read_json
from edge.routes.answers import answer
from edge.shapes import Instant, StreamIdText, rfc3339
from edge.state import asking_of, body, require_user, this_edge
from edge.tickets import Purpose
from livecomments.errors import Reason, Refusal, invalid
from livecomments.stream_ids import check_stream_id

credentials = Blueprint("credentials", __name__)

COOKIE_TOKEN_MAX = 3_800
"""Bytes: browsers drop a cookie of more than 4,096, its attributes among them, and say nothing."""
_SECURE_NAMES = ("__Host-", "__Secure-")


class AskTicket(msgspec.Struct, forbid_unknown_fields=True):
    """POST /v1/tickets."""

    stream_id: StreamIdText
    purpose: Literal["feed", "subscribe"] = "feed"


class Ticket(msgspec.Struct):
    """A ticket, and when it ends."""

    ticket: str
    expires_at: Instant


@credentials.post("/v1/tickets")
async def give_ticket() -> Response:
    """Gives the caller a ticket for one stream's WebSocket, or its server-sent events."""
    edge, user = this_edge(), require_user()
    form = read_json(await body(), AskTicket)
    check_stream_id(form.stream_id)
    until = min(time.time() + edge.settings.edge_ticket_s, user.expires_at)
    ticket = edge.tickets.give(user, form.stream_id, Purpose(form.purpose), until)
    return answer(Ticket(ticket, rfc3339(int(until * 1000))), 201)


@credentials.put("/v1/cookie")
async def set_cookie() -> Response:
    """Keeps the token of the request's header in a cookie, for as long as it is good."""
    edge = this_edge()
    _require_cookies()
    asking = asking_of(request.headers)
    user = edge.authenticator.identify(asking.authorization)
    if not user.is_user or asking.authorization is None:
        raise Refusal(Reason.UNAUTHENTICATED, "a token is needed: Authorization: Bearer <token>")
    token = asking.authorization.partition(" ")[2].strip()
    if len(token) > COOKIE_TOKEN_MAX:
        raise invalid("Authorization", f"a token for a cookie may have {COOKIE_TOKEN_MAX} bytes")
    return _with_cookie(token, int(user.expires_at - time.time()))


@credentials.delete("/v1/cookie")
async def clear_cookie() -> Response:
    """Takes the cookie away; no token is needed for that, but a page that may."""
    _require_cookies()
    asking = asking_of(request.headers)
    if asking.origin is not None:
        this_edge().credentials.require_own_page(asking)
    return _with_cookie("", 0)


def _require_cookies() -> None:
    if not this_edge().credentials.cookie:
        raise NotFound("this server takes no cookies: EDGE_COOKIE is not set")


def _with_cookie(value: str, max_age_s: int) -> Response:
    name = this_edge().credentials.cookie
    # Strict costs nothing: pages call this server, nobody's link leads to it.
    attributes = [f"{name}={value}", "Path=/", f"Max-Age={max_age_s}", "HttpOnly", "SameSite=Strict"]
    if request.scheme == "https" or name.startswith(_SECURE_NAMES):
        attributes.append("Secure")
    response = Response(b"", 204)
    response.headers["Set-Cookie"] = "; ".join(attributes)
    response.headers["Cache-Control"] = "no-store"
    return response
