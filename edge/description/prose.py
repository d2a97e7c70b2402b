"""What OpenAPI has no words for: who one is, events, cursors, limits. Markdown, for ``/docs``."""

from edge.polling import WAIT_MAX_S
from edge.settings import EdgeSettings

BEGIN = """All addresses are below this one. Bodies are JSON in UTF-8, names are snake_case, times are RFC 3339 in UTC
with milliseconds. [/openapi.json](/openapi.json) says the same as this page for programs,
[/docs/errors](/docs/errors) explains each reason of a refusal.

Watching a public stream needs no token. Who posts, moderates or watches a private stream sends `Authorization: Bearer
<token>`, a JWT with the claims `sub` (the user's id), `name`, `role` (`viewer`, `moderator` or `host`), `streams`
(those that a moderator rules, and the private ones that its bearer may watch), `exp`, `iss` and `aud`. A host creates
streams and rules its own.

A browser gives a WebSocket and a native EventSource no header. They take a ticket for each connection
(`POST /v1/tickets`, then `?ticket=` in the address), or a cookie where the server takes one."""

EVENTS = """A feed is the same on every way in: server-sent events, a WebSocket, long-poll and gRPC-web. It begins
with `snapshot`; then come the events of the log, in the log's order, which is everyone's. Comments of a window of 100
ms come as one `new_comment`. Each event of the log has an `id`, its cursor; `viewers`, `omitted` and `degraded` stand
outside the log and have none. Take no notice of events whose names you do not know: more may come."""

WAYS = """- Server-sent events: `event`, `id`, `data` as below. A `retry:` comes first, and a `:` line shows life when
nothing happens. With `Accept-Encoding: gzip` the stream is compressed. A native EventSource resumes by itself.
- WebSocket: one text frame an event, `{"event": …, "id": …, "data": …}`, the same names and data. To post on it send
`{"post": {"request_id": …, "text": …}}`; the answer is the event `posted` or `error`, with that `request_id`.
- Long-poll: `{"events": [{"event", "id", "data"}], "cursor", "poll_after_ms"}`. Ask again after that time, with that
cursor as `since`.
- Many streams: `/v1/events` puts the stream around each event's data, `{"stream_id": …, "data": …}`, and begins with
the event `session`, which names the connection's streams."""

CURSORS = """A cursor is a place in the log, opaque to you: `<epoch>-<seq>`. It is the same on every way in and at
every edge, so a client may watch by WebSocket and resume by long-poll elsewhere. Keep the last `id` that you saw, and
come back with it: as `Last-Event-ID`, or `last_event_id` in the address for clients that set no header; as `cursor`
for a WebSocket; as `since` for long-poll.

What came after it then follows, once and in order. The snapshot's `recovered` tells whether that was possible: it is
false when more was missed than a resume may bring, or when the log is another one. Never do you get a part of it.
Show the snapshot's comments in place of yours then; the replay has what lies between.

The cursor of `/v1/events` says which streams and where in each, and is good there alone. `next_pagination_token` and
`oldest_cursor` are page tokens: signed, and good for the request that they were given for.

To begin with history and go on live without a gap, read `…/comments/recent` and subscribe with its `cursor`."""

REPLAY = """A comment is shown at `offset_ms - lag_ms` of the recording: at the moment that it was about. Read windows
ahead of the player's clock, a minute say, and sort them by that."""

POSTING = """The answer to a post is 202 once the comment is on disk. Give each comment an `Idempotency-Key` of its
own, and repeat the post with the same key after a 503, or when no answer came: within two minutes it gets the first
answer, and is stored once. Show your own comment from the 202, and drop the one that comes by the feed with the same
`comment_id`."""


def limits(settings: EdgeSettings) -> list[tuple[str, str]]:
    """What is limited, and how: here, or as installed by default where another service decides."""
    sampled = settings.edge_max_comments_per_second
    rate = f"{settings.edge_address_rate:g} a second, {settings.edge_address_burst} at once"
    return [
        ("Text of a comment", "500 characters (`CORE_TEXT_MAX`), NFC, no control characters but line feed"),
        ("`meta`", "a JSON object of 1 KiB (`CORE_META_MAX`)"),
        ("Posts of one user in one stream", "1 a second, 10 at once (`CORE_USER_RATE`); not for hosts and moderators"),
        ("Posts from one address, or IPv6 /64", rate if settings.edge_address_rate else "not limited"),
        ("Request body; message of a WebSocket", f"{settings.edge_body_max:,} bytes; 16,384 bytes"),
        (
            "Comments shown to one viewer",
            f"{sampled} a second; over that an even sample, the same for everyone" if sampled else "all",
        ),
        (
            "What may wait for one viewer",
            f"{settings.edge_backlog_bytes:,} bytes; then it is disconnected, and resumes by cursor",
        ),
        ("Streams on one connection", f"{settings.edge_session_max_streams}"),
        (
            "A resume",
            f"{settings.edge_resume_max_events:,} events or {settings.edge_resume_max_bytes:,} bytes; else a snapshot",
        ),
        ("A connection", _age(settings.edge_max_connection_age_s)),
        ("`Idempotency-Key`", "128 characters, remembered for two minutes"),
        ("Replay window", "1 hour, 1,000 comments a page"),
        ("Long-poll", f"waits {WAIT_MAX_S} s at most"),
        ("Stream id; title", "1 to 64 of `A-Z a-z 0-9 _ -`; 200 characters"),
        ("Slow mode; notice of an end", "1 hour each"),
    ]


def _age(seconds: float) -> str:
    return f"renewed after {seconds:g} s or so, and when the token ends" if seconds else "renewed when the token ends"
