"""What browsers take in place of an ``Authorization`` header, described."""

from edge.description.parts import USER, Answer, Json, body_of, json_answer, operation
from edge.description.streams import ALWAYS, BODIES
from edge.routes.credentials import AskTicket, Ticket
from livecomments.errors import Reason

CREDENTIALS_TAG = "Credentials"

_SET_COOKIE: Json = {"Set-Cookie": {"required": True, "schema": {"type": "string"}}}


def credentials(cookie: str) -> Json:
    """Paths of tickets, and of the cookie where it has a name."""
    ticket = operation(
        "giveTicket", "Get a ticket, for the address of one stream's WebSocket or subscribe",
        {201: json_answer("Good for some seconds, in the parameter ticket.", Ticket)},
        (*ALWAYS, *BODIES, Reason.UNAUTHENTICATED, Reason.FORBIDDEN), tag=CREDENTIALS_TAG, security=USER,
        body=body_of(AskTicket, {"stream_id": "final", "purpose": "feed"}),
    )  # fmt: skip
    return {"/v1/tickets": {"post": ticket}} | ({"/v1/cookie": _cookie()} if cookie else {})


def _cookie() -> Json:
    return {
        "put": operation(
            "setCookie", "Keep the token of the Authorization header in a cookie",
            {204: Answer("The browser sends it from now on.", headers=_SET_COOKIE)},
            (*ALWAYS, Reason.UNAUTHENTICATED), tag=CREDENTIALS_TAG, security=USER,
        ),
        "delete": operation(
            "clearCookie", "Take that cookie away", {204: Answer("It is gone.", headers=_SET_COOKIE)},
            (*ALWAYS, Reason.FORBIDDEN), tag=CREDENTIALS_TAG,
            description="Needs no token, but a page of an origin that may call.",
        ),
    }  # fmt: skip
