"""The pages ``/docs`` and ``/docs/errors``: HTML out of the description and the prose, with nothing from elsewhere."""

from html import escape

from edge.description.document import TAGS
from edge.description.events import FEED_EVENTS, SESSION_PROSE, SOCKET_EVENTS, session_example, sse_example
from edge.description.markup import block, inline
from edge.description.operations import described
from edge.description.parts import Json
from edge.description.prose import BEGIN, CURSORS, EVENTS, POSTING, REPLAY, WAYS, limits
from edge.reasons import MEANINGS
from edge.settings import EdgeSettings

_METHODS = ("get", "post", "put", "patch", "delete")


def docs_page(document: Json, settings: EdgeSettings) -> str:
    """The API for people."""
    sections = [
        ("begin", "Begin", block(BEGIN)),
        ("requests", "Requests", _requests(document)),
        ("events", "Events", _events()),
        ("cursors", "Cursors and resume", block(CURSORS)),
        ("posting", "Posting safely", block(POSTING)),
        ("replay", "Replay", block(REPLAY)),
        ("limits", "Limits", _definitions([(inline(what), inline(limit)) for what, limit in limits(settings)])),
    ]
    return _page("API", "API", _contents([(anchor, title) for anchor, title, _ in sections]) + _sections(sections))


def errors_page() -> str:
    """All reasons, each at its own anchor."""
    intro = block(
        "Every error is an RFC 9457 problem (`application/problem+json`). Match on `reason`, which is stable; `detail` "
        "is for people, and `errors` names each bad field. gRPC has the same reasons as `ErrorInfo` of the domain "
        "`livecomments`. A 404 or 405 of type `about:blank` is about an address that does not exist."
    )
    entries = "\n".join(
        f'<section class="entry" id="{reason}"><h2><code>{reason}</code></h2>'
        + _definitions(
            [
                ("Status", f"HTTP {reason.http_status}, gRPC {reason.grpc_code.name}"),
                ("Meaning", inline(meaning)),
                ("What to do", inline(remedy)),
            ]
        )
        + "</section>"
        for reason, (meaning, remedy) in MEANINGS.items()
    )
    return _page("Errors", "Errors", intro + _contents([(reason, reason) for reason in MEANINGS]) + entries)


def _requests(document: Json) -> str:
    parts = []
    for tag, text in TAGS.items():
        parts.append(f"<h3>{escape(tag)}</h3>{block(text)}")
        parts += [
            described(document, method, path)
            for path, item in document["paths"].items()
            for method in _METHODS
            if tag in item.get(method, {}).get("tags", ())
        ]
    return "\n".join(parts)


def _events() -> str:
    parts = [block(EVENTS), block(WAYS), "<h3>A feed begins</h3>", _example(sse_example())]
    parts += [
        f'<section class="entry" id="event-{event.name}"><h3><code>{event.name}</code></h3>{block(event.meaning)}'
        f"{_example(event.wire)}</section>"
        for event in FEED_EVENTS
    ]
    parts += [
        f'<section class="entry" id="event-{event.name}"><h3><code>{event.name}</code></h3>{block(event.meaning)}'
        f"{_example(event.frame)}</section>"
        for event in SOCKET_EVENTS
    ]
    many = f'<section class="entry" id="event-session"><h3><code>session</code></h3>{block(SESSION_PROSE)}'
    return "\n".join([*parts, many + _example(session_example()) + "</section>"])


def _example(text: str) -> str:
    # A reader who has no mouse must be able to scroll it.
    return f'<pre tabindex="0">{escape(text.rstrip())}</pre>'


def _definitions(pairs: list[tuple[str, str]]) -> str:
    return (
        '<dl class="facts">' + "".join(f"<div><dt>{term}</dt><dd>{what}</dd></div>" for term, what in pairs) + "</dl>"
    )


def _contents(entries: list[tuple[str, str]]) -> str:
    links = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, title in entries)
    return f'<nav class="contents" aria-label="On this page"><ul>{links}</ul></nav>'


def _sections(sections: list[tuple[str, str, str]]) -> str:
    return "\n".join(
        f'<section id="{anchor}"><h2>{escape(title)}</h2>\n{html}</section>' for anchor, title, html in sections
    )


def _page(title: str, heading: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>{escape(title)} · Live comments</title>
    <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/static/css/base.css">
    <link rel="stylesheet" href="/static/css/docs.css">
    <script src="/static/theme.js"></script>
  </head>
  <body>
    <a class="skip" href="#content">Skip to the content</a>
    <header class="header">
      <a class="brand" href="/"><img src="/static/icon.svg" alt="" width="28" height="28"> Live comments</a>
      <nav class="docs-links" aria-label="Documentation"><a href="/docs">API</a> <a href="/docs/errors">Errors</a></nav>
    </header>
    <main class="docs" id="content">
      <h1>{escape(heading)}</h1>
{content}
    </main>
  </body>
</html>
"""
