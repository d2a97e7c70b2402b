"""Refusals as HTTP: RFC 9457 problem details, with the headers that go with them."""

import math

from quart import Response

from edge.shapes import encode
from livecomments.errors import Reason, Refusal

_HTTP_NAMES = {
    "meta_json": "meta",
    "client_ts_ms": "client_ts",
    "request_id": "Idempotency-Key",
    "page_size": "limit",
    "page_token": "pagination_token",
    "start_offset_ms": "start_time",
    "duration_ms": "duration",
    "update_mask": "title",
}
"""Fields that the protos call otherwise."""


def problem(refusal: Refusal) -> Response:
    """The one form of every error: status, problem+json, Retry-After and the RateLimit fields."""
    status = refusal.reason.http_status
    body: dict[str, object] = {
        "type": f"/docs/errors#{refusal.reason}",
        "title": refusal.reason.replace("_", " ").capitalize(),
        "status": status,
        "reason": refusal.reason,
    }
    if refusal.detail:
        body["detail"] = refusal.detail
    if refusal.fields:
        body["errors"] = [
            {"pointer": f"#/{_HTTP_NAMES.get(error.field, error.field).replace('.', '/')}", "detail": error.detail}
            for error in refusal.fields
        ]
    response = Response(encode(body), status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    if refusal.reason is Reason.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="livecomments"'
    retry_after_s = math.ceil(refusal.retry_after_ms / 1000)
    if status in (429, 503):
        response.headers["Retry-After"] = str(max(1, retry_after_s))
    if refusal.rate_limit is not None:
        limit = refusal.rate_limit
        response.headers["RateLimit-Policy"] = f'"{limit.policy}";q={limit.quota};w={limit.window_s}'
        response.headers["RateLimit"] = f'"{limit.policy}";r=0;t={max(1, retry_after_s)}'
    return response
