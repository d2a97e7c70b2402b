"""JSON answers."""

from collections.abc import Mapping
from hashlib import blake2b

from quart import Response, request

from edge.headers import names_etag
from edge.shapes import encode


def answer(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is not to be kept by anyone."""
    response = Response(encode(data), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def cacheable(data: object, content: object, max_age_s: int) -> Response:
    """JSON that anyone may keep for a while and then ask for by ETag, which changes when ``content`` does.

    The ETag is a weak one (RFC 9110, section 8.8.1): what else ``data`` says may change meanwhile.
    """
    etag = f'"{blake2b(encode(content), digest_size=12).hexdigest()}"'
    if names_etag(request.headers.get("If-None-Match"), etag):
        response = Response(b"", 304, content_type="application/json")
    else:
        response = Response(encode(data), content_type="application/json")
    response.headers["ETag"] = f"W/{etag}"
    response.headers["Cache-Control"] = f"public, max-age={max_age_s}"
    return response
