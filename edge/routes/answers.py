"""JSON answers."""

from collections.abc import Mapping
from hashlib import blake2b

from quart import Response, request

from edge.shapes import encode


def answer(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is not to be kept by anyone."""
    response = Response(encode(data), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def cacheable(data: object, max_age_s: int) -> Response:
    """JSON that anyone may keep for a while and then ask for by ETag; a deleted comment changes the ETag."""
    encoded = encode(data)
    etag = f'"{blake2b(encoded, digest_size=12).hexdigest()}"'
    if etag in {given.strip() for given in request.headers.get("If-None-Match", "").split(",")}:
        response = Response(b"", 304)
    else:
        response = Response(encoded, content_type="application/json")
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = f"public, max-age={max_age_s}"
    return response
