"""What each reason of the error table means and what to do about it, for people; ``type`` of a problem points here."""

from html import escape

from livecomments.errors import Reason

MEANINGS: dict[Reason, tuple[str, str]] = {
    Reason.INVALID_FIELD: (
        "A field or parameter does not fit.",
        "Each entry of errors names one by its pointer and says what it must be.",
    ),
    Reason.MALFORMED_BODY: (
        "The body is not a JSON object, or for gRPC-web not one framed message.",
        "Send JSON, UTF-8; for gRPC-web let a generated client write the request.",
    ),
    Reason.BAD_CURSOR: (
        "The cursor is not one of this system.",
        "Subscribe without one: the feed begins with a snapshot.",
    ),
    Reason.BAD_PAGE_TOKEN: (
        "The page token is not one of this system, or was given for other arguments.",
        "Begin with the first page, and keep the arguments.",
    ),
    Reason.KEY_REUSED: (
        "The same Idempotency-Key came with another text within two minutes.",
        "Use a new key for each comment.",
    ),
    Reason.UNAUTHENTICATED: ("The token is missing, invalid or expired.", "Get a new token."),
    Reason.FORBIDDEN: ("The token does not permit this.", "Use a token of the stream's host or of its moderator."),
    Reason.BANNED: ("The user is banned from this stream.", "Only a host or a moderator can lift that."),
    Reason.STREAM_NOT_FOUND: ("There is no such stream.", "Check the id."),
    Reason.COMMENT_NOT_FOUND: ("There is no such comment in this stream.", "It may have been deleted."),
    Reason.SESSION_NOT_FOUND: (
        "No such session is open at this edge.",
        "It ends with its connection: take the id from the last session event, and ask the edge that holds it.",
    ),
    Reason.STREAM_EXISTS: ("The id is taken.", "Choose another, or leave it out."),
    Reason.STREAM_ENDED: ("The stream has ended and takes no more comments.", "Show the replay."),
    Reason.BODY_TOO_LARGE: ("The body is too large.", "A comment is short."),
    Reason.USER_RATE: ("This user posts too fast.", "Wait as long as Retry-After says."),
    Reason.ADDRESS_RATE: ("Too many posts come from this address.", "Wait as long as Retry-After says."),
    Reason.SLOW_MODE: ("The stream is in slow mode.", "Wait as long as Retry-After says."),
    Reason.OVERLOADED: (
        "It was not taken: a part of the system is away or has too much to do.",
        "Try again after Retry-After, with jitter.",
    ),
    Reason.DRAINING: ("It was not taken: this server is shutting down.", "Try again: another one answers."),
    Reason.NOT_CONFIRMED: (
        "Nobody knows yet whether the comment was taken.",
        "Repeat it with the same Idempotency-Key: it is stored once, whatever happened.",
    ),
}


def errors_page() -> str:
    """The page that lists all reasons, each at its own anchor."""
    rows = "\n".join(
        f'<tr id="{reason}"><th scope="row"><code>{reason}</code></th><td>{reason.http_status}</td>'
        f"<td>{reason.grpc_code.name}</td><td>{escape(meaning)}</td><td>{escape(remedy)}</td></tr>"
        for reason, (meaning, remedy) in MEANINGS.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors · Live comments</title>'
        '<meta name="viewport" content="width=device-width"><h1>Errors</h1>'
        "<p>Every error is an RFC 9457 problem; <code>reason</code> is stable, <code>detail</code> is for people.</p>"
        "<table><thead><tr><th>reason</th><th>HTTP</th><th>gRPC</th><th>what it means</th><th>what to do</th></tr>"
        f"</thead><tbody>\n{rows}\n</tbody></table></html>"
    )
