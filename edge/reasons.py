"""What each reason of the error table means and what to do about it, for people."""

from typing import NamedTuple

from livecomments.errors import Reason


class Meaning(NamedTuple):
    """What a reason says to whom it is given."""

    meaning: str
    remedy: str


MEANINGS: dict[Reason, Meaning] = {
    Reason.INVALID_FIELD: Meaning(
        "A field or parameter does not fit.",
        "Each entry of errors names one by its pointer and says what it must be.",
    ),
    Reason.MALFORMED_BODY: Meaning(
        "The body is not a JSON object, or for gRPC-web not one framed message.",
        "Send JSON, UTF-8; for gRPC-web let a generated client write the request.",
    ),
    Reason.BAD_CURSOR: Meaning(
        "The cursor is not one of this system.",
        "Subscribe without one: the feed begins with a snapshot.",
    ),
    Reason.BAD_PAGE_TOKEN: Meaning(
        "The page token is not one of this system, or was given for other arguments.",
        "Begin with the first page, and keep the arguments.",
    ),
    Reason.KEY_REUSED: Meaning(
        "The same Idempotency-Key came with another text within two minutes.",
        "Use a new key for each comment.",
    ),
    Reason.UNAUTHENTICATED: Meaning(
        "The token is missing, invalid or expired; or the ticket is.",
        "Get a new one; detail says which claim is wrong.",
    ),
    Reason.FORBIDDEN: Meaning(
        "The token does not permit this; or it came as a cookie with a page that may not use it.",
        "Use a token of the stream's host or moderator, or one that names it; a cookie, from a page that is listed.",
    ),
    Reason.BANNED: Meaning("The user is banned from this stream.", "Only a host or a moderator can lift that."),
    Reason.STREAM_NOT_FOUND: Meaning("There is no such stream.", "Check the id."),
    Reason.COMMENT_NOT_FOUND: Meaning("There is no such comment in this stream.", "It may have been deleted."),
    Reason.SESSION_NOT_FOUND: Meaning(
        "No such session is open at this edge.",
        "It ends with its connection: take the id from the last session event, and ask the edge that holds it.",
    ),
    Reason.STREAM_EXISTS: Meaning("The id is taken.", "Choose another, or leave it out."),
    Reason.STREAM_ENDED: Meaning("The stream has ended and takes no more comments.", "Show the replay."),
    Reason.BODY_TOO_LARGE: Meaning("The body is too large.", "A comment is short."),
    Reason.USER_RATE: Meaning("This user posts too fast.", "Wait as long as Retry-After says."),
    Reason.ADDRESS_RATE: Meaning("Too many posts come from this address.", "Wait as long as Retry-After says."),
    Reason.SLOW_MODE: Meaning("The stream is in slow mode.", "Wait as long as Retry-After says."),
    Reason.OVERLOADED: Meaning(
        "It was not taken: a part of the system is away or has too much to do.",
        "Try again after Retry-After, with jitter.",
    ),
    Reason.DRAINING: Meaning("It was not taken: this server is shutting down.", "Try again: another one answers."),
    Reason.NOT_CONFIRMED: Meaning(
        "Nobody knows yet whether the comment was taken.",
        "Repeat it with the same Idempotency-Key: it is stored once, whatever happened.",
    ),
}
