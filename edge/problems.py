"""Refusals as HTTP: RFC 9457 problem details, with the headers that go with them."""

import math
from collections.abc import Mapping

from quart import Response

from edge.headers import Headers
from edge.shapes import encode
from livecomments.errors import Reason, Refusal
from livecomments.telemetry import log

HTTP_NAMES = {
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


def render(refusal: Refusal) -> tuple[int, Headers, bytes]:
    """The one form of every error: status, headers (Retry-After, RateLimit fields), problem+json."""
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
        body["errors"] = field_errors(refusal, "#/", HTTP_NAMES)
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
    if refusal.reason is Reason.UNAUTHENTICATED:
        headers.append(("WWW-Authenticate", 'Bearer realm="livecomments"'))
    retry_after_s = max(1, math.ceil(refusal.retry_after_ms / 1000))
    if status in (429, 503):
        headers.append(("Retry-After", str(retry_after_s)))
    if refusal.rate_limit is not None:
        limit = refusal.rate_limit
        headers.append(("RateLimit-Policy", f'"{limit.policy}";q={limit.quota};w={limit.window_s}'))
        headers.append(("RateLimit", f'"{limit.policy}";r=0;t={retry_after_s}'))
    return status, headers, encode(body)


def field_errors(refusal: Refusal, root: str, names: Mapping[str, str]) -> list[dict[str, str]]:
    """The bad fields, each named by a JSON pointer that begins with ``root``; ``names`` as HTTP_NAMES."""
    return [
        {"pointer": root + names.get(error.field, error.field).replace(".", "/"), "detail": error.detail}
        for error in refusal.fields
    ]


def problem(refusal: Refusal) -> Response:
    """The same as Quart's response."""
    status, headers, body = render(refusal)
    response = Response(body, status)
    for name, value in headers:
        response.headers[name] = value
    return response


def unexpected(error: Exception, path: str) -> Refusal:
    """What a client hears of an error of ours: the log has the rest."""
    log().error("a request failed", path=path, exc_info=error)
    return Refusal(Reason.OVERLOADED, "something went wrong on our side", retry_after_ms=1_000)
