"""The OpenAPI document."""

from functools import lru_cache

from edge.description.comments import COMMENTS_TAG, comments
from edge.description.components import components
from edge.description.credentials import CREDENTIALS_TAG, credentials
from edge.description.feeds import FEEDS_TAG, feeds
from edge.description.grpc_web import GRPC_WEB_TAG, grpc_web
from edge.description.house import HOUSE_TAG, house
from edge.description.parts import Json
from edge.description.streams import MODERATION_TAG, STREAMS_TAG, moderation, streams

TAGS = {
    STREAMS_TAG: "One broadcast each: made, changed and ended by its host.",
    COMMENTS_TAG: "Posted live, and read back by the recording's clock.",
    FEEDS_TAG: "What happens in a stream, as it happens.",
    CREDENTIALS_TAG: "For browsers, which give a WebSocket and an EventSource no header.",
    MODERATION_TAG: "For a stream's host, and for moderators whose token names it.",
    GRPC_WEB_TAG: "The same for clients that are generated from protos/.",
    HOUSE_TAG: "For those who run it.",
}
"""In the order in which they are shown."""


@lru_cache(maxsize=4)
def document(cookie: str, session_max_streams: int) -> Json:
    """The whole description. ``cookie`` may carry a token, where it has a name."""
    paths = (
        streams() | comments() | feeds(session_max_streams) | credentials(cookie) | moderation() | grpc_web() | house()
    )
    if cookie:
        _allow_cookie(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Live comments",
            "version": "1.0.0",
            "summary": "Comments under a broadcast: post, watch live, resume, replay.",
            "description": "Times are RFC 3339 in UTC with milliseconds. Every error is an RFC 9457 problem with a "
            "stable `reason`; `/docs/errors` lists them. `/docs` says in prose what events, cursors and limits are.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "externalDocs": {"description": "Events, cursors, limits", "url": "/docs"},
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": components(cookie),
    }


def _allow_cookie(paths: Json) -> None:
    for path in paths.values():
        for method, described in path.items():
            if method != "parameters" and {"bearer": []} in described["security"]:
                described["security"].append({"cookie": []})
