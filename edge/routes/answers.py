"""JSON answers."""

from collections.abc import Mapping

from quart import Response, request

from edge.headers import names_etag
from edge.pages import Recent, Remembered, Replay
from edge.shapes import encode

REPLAY_MAX_AGE_S = 30
"""A deleted comment is gone from caches after so long."""


def answer(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is not to be kept by anyone."""
    response = Response(encode(data), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def page_answer(page: Replay | Recent | Remembered) -> Response:
    """A page of comments. Where anyone may keep it, only for a while, to ask by its ETag then."""
    if not page.etag:
        response = Response(page.body, content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        return response
    is_known = names_etag(request.headers.get("If-None-Match"), page.etag)
    response = Response(b"" if is_known else page.body, 304 if is_known else 200, content_type="application/json")
    response.headers["ETag"] = f"W/{page.etag}"
    response.headers["Cache-Control"] = f"public, max-age={REPLAY_MAX_AGE_S}"
    return response
